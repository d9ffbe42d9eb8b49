-- @use bump
-- @use history
-- @use tell
-- These jobs won't run again by themselves, each for its reason.
local function die(uids, why, lines, now_ms)
  if #uids == 0 then
    return
  end
  local died, reason_of, ends = {}, {}, {}
  for i, uid in ipairs(uids) do
    died[2 * i - 1], died[2 * i] = string.format("%d", now_ms), uid
    reason_of[2 * i - 1], reason_of[2 * i] = uid, why[i]
    ends[i] = "dead"
  end
  redis.call("ZADD", dead, unpack(died))
  redis.call("HSET", reasons, unpack(reason_of))
  note(uids, lines)
  tell(uids, ends)
  bump(stats, "dead_letters", #uids)
end
