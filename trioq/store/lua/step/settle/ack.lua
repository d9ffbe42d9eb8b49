-- ack: the job is done: its record goes, a summary stays.
--
-- MOVE  running -> done
-- KEYS  big, reaps, history, reasons, id_of, ids, ended, waits, notes, results, results_due, flow
--       done      LIST  summaries, of those that ended together, newest first
-- ARGV  summaries: a line for each job
-- @use forget
-- @use summarise
-- Nobody writes there before: among those that keep summaries an ack is the first to settle.
local oldest = redis.call("LINDEX", done, -1)
local more = redis.call("EXISTS", big, attempts, reaps, history, reasons, id_of, waits, notes, flow)
if more > 0 then
  now()
  -- @types but done
end
-- @may
return {
  fields = 1,
  in_lines = true,
  write = function(uids, _, summaries)
    forget(uids, "done", now_ms, retention, more)
    summarise(summaries, #uids, oldest)
    bump(stats, "done", #uids)
  end,
}
