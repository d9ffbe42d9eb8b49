-- deliver: the job is done, and what it returned is kept for a time.
--
-- MOVE  running -> done
-- KEYS  big, reaps, history, reasons, id_of, ids, ended, waits, notes, results, results_due, flow
--       done      LIST  summaries, of those that ended together, newest first
-- ARGV  summary, keep ms, done or why there is no result, result
-- @use forget
-- @use summarise
-- @use sweep
-- @types
redis.call("LLEN", done)
now()
-- @may
return {
  fields = 4,
  write = function(uids, _, summaries, keeps_ms, ends, values)
    sweep(100 + 2 * #uids, now_ms)
    local told = { ends = ends, values = values, keeps_ms = keeps_ms }
    forget(uids, "done", now_ms, retention, nil, told)
    summarise(table.concat(summaries, "\n"), #uids)
    bump(stats, "done", #uids)
  end,
}
