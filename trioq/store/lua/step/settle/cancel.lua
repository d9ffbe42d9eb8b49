-- cancel: the job is over: somebody doesn't want it any more.
--
-- MOVE  running -> cancelled
-- KEYS  dead, big, reaps, history, reasons, id_of, ids, ended, waits, notes, results, results_due, flow
--       done      LIST  summaries, of those that ended together, newest first
-- ARGV  ms for which its end is kept, summary
-- @use cancelled
-- @types
redis.call("HLEN", attempts)
now()
-- @may
return {
  fields = 2,
  write = function(uids, _, keeps, summaries)
    end_cancelled(uids, keeps, summaries, now_ms, retention)
  end,
}
