-- The oldest ones die, as many as there is no room for. Those that a limit has refused came before
-- those that are ready.
--
-- MOVE  ready -> dead
-- @use die
-- @use rooms
-- The oldest of those that wait in the first rooms of a queue.
local function oldest_of_rooms(queue, count)
  local firsts, uids = {}, {}
  local from, till = range_of(queue.name)
  local function first_of(from, till)
    local member = redis.call("ZRANGEBYLEX", limited, from, till, "LIMIT", 0, 1)[1]
    local take, uid = string.match(member or "", "^%Z*%z(%Z*)%z(.*)$")
    return member and { member = member, take = take, uid = uid }
  end
  repeat
    local first = first_of(from, till)
    firsts[#firsts + 1] = first
    from = first and "[" .. queue.name .. "\0" .. first.take .. "\1"
  until not first or #firsts == 128
  while #uids < count and #firsts > 0 do
    local at = 1
    for f, first in ipairs(firsts) do
      at = first.uid < firsts[at].uid and f or at
    end
    local oldest = firsts[at]
    uids[#uids + 1] = oldest.uid
    redis.call("ZREM", limited, oldest.member)
    local following = first_of(in_room(queue.name, oldest.take))
    if following then
      firsts[at] = following
    else
      left_room(queue.name, oldest.take)
      table.remove(firsts, at)
    end
  end
  return uids
end
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
    local oldest = {}
    if queue.n_limited > 0 then
      oldest = oldest_of_rooms(queue, left)
    end
    if #oldest == 0 then
      oldest = redis.call("RPOP", queue.ready, string.format("%d", left)) or first_in_turn(queue, left)
    end
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
