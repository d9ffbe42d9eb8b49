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
local has_more
-- Where somebody else wrote what is no counter, it begins anew.
local function raised(counted, more)
  local before = #(counted or "") <= 15 and string.match(counted or "", "^%d+$") or 0
  return string.format("%d", before + more)
end
has_beside = true  -- what else there is of the job is looked at with the queues
-- @may
return {
  fields = 1,
  in_lines = true,
  is_end = true,
  read = function()
    has_more = n_beside > 0 or has_attempts or has_notes or has_rows
    if has_more then
      now()
      -- @types but done
    end
  end,
  write = function(uids, _, summaries)
    if not ends_one then
      redis.call("HDEL", jobs, unpack(uids))
    end
    forget_beside(uids, "done", now_ms, retention, has_more)
    local counts = { "done", raised(n_done, #uids) }
    if is_kept(summaries) then
      counts[3], counts[4] = "summaries", raised(n_summaries, #uids)
      keep(summaries, #uids, tonumber(counts[4]), oldest)
    end
    redis.call("HSET", stats, unpack(counts))
  end,
}
