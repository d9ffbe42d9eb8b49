-- ack: the job is done: its record goes, a summary stays.
--
-- MOVE  running -> done
-- KEYS  big, reaps, history, reasons, id_of, ids, ended, waits, notes, results, results_due, flow
--       done      LIST  summaries, of those that ended together, newest first
-- ARGV  summaries: a line for each job
-- @use forget
-- @use summarise
redis.call("LLEN", done)
local has_more
has_beside = true  -- what else there is of the job is looked at with the queues
-- @may
return {
  fields = 1,
  in_lines = true,
  read = function()
    has_more = n_beside > 0 or has_attempts or has_notes or has_rows
    if has_more then
      now()
      -- @types but done
    end
  end,
  write = function(uids, _, summaries)
    forget(uids, "done", now_ms, retention, has_more)
    local counts = { "done", raised(n_done, #uids) }
    if is_kept(summaries) then
      counts[3], counts[4] = "summaries", raised(n_summaries, #uids)
      keep(summaries, #uids, counts[4])
    end
    redis.call("HSET", stats, unpack(counts))
  end,
}
