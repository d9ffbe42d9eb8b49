-- The oldest ones die, as many as there is no room for.
--
-- MOVE  ready -> dead
-- @use die
local function first_in_turn(queue, count)
  local first, last = range_of(queue.name)
  local members = redis.call("ZRANGEBYLEX", fair, first, last, "LIMIT", 0, count)
  redis.call("ZREM", fair, unpack(members))
  for m, member in ipairs(members) do
    members[m] = string.match(member, "^[^%z]*%z%x*%z(.*)$")
  end
  return members
end
for _, queue in ipairs(place) do
  local uids, why, lines, left = {}, {}, {}, queue.too_many or 0
  while left > 0 do
    local oldest = redis.call("RPOP", queue.ready, string.format("%d", left)) or first_in_turn(queue, left)
    local was_cancelled = redis.call("SMISMEMBER", queue.dropped, unpack(oldest))
    local passed = {}
    for i, uid in ipairs(oldest) do
      if was_cancelled[i] == 1 then
        passed[#passed + 1] = uid
      else
        uids[#uids + 1], why[#why + 1], lines[#lines + 1] = uid, "dropped", line
      end
    end
    if #passed > 0 then
      redis.call("SREM", queue.dropped, unpack(passed))
    end
    left = left - (#oldest - #passed)
  end
  die(uids, why, lines, now_ms)
  if #uids > 0 then
    bump(stats, "dropped", #uids)
  end
end
