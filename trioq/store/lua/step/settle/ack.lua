-- ack: the job is done: its record goes, a summary stays.
--
-- MOVE  running -> done
-- KEYS  big, reaps, history, reasons, id_of, ids, ended
--       done      LIST  summaries, those of a step together, newest first
-- ARGV  summaries: a line for each job
-- @use forget
redis.call("LLEN", done)
local more = redis.call("EXISTS", big, attempts, reaps, history, reasons, id_of)
if more > 0 then
  now()
  -- @types but done
end
-- @may
-- Behind the summaries of a step stands how many jobs were done by then: so it can be told of the
-- oldest whether as many as shall be kept are newer, and nobody has to look into them.
local function trim(counted, most)
  for _ = 1, most do
    local oldest = redis.call("LINDEX", done, -1)
    if not oldest then
      return
    end
    local by_then = tonumber(oldest)
    if by_then and by_then <= counted and counted - by_then < keep_done then
      return
    end
    -- What isn't a number is a summary by itself, as once all were.
    redis.call("LTRIM", done, 0, by_then and -3 or -2)
  end
end
return {
  fields = 1,
  in_lines = true,
  write = function(uids, _, summaries)
    forget(uids, "done", now_ms, retention, more)
    local counted = bump(stats, "done", #uids)
    if keep_done > 0 and string.find(summaries, "[^\n]") then
      redis.call("LPUSH", done, string.format("%d", counted), summaries)
      trim(counted, #uids + 1)
    end
  end,
}
