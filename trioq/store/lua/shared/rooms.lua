-- @use range
-- Who is refused by a limit lies in `limited` as `queue NUL take NUL uid`: in the room of that take, by
-- age. `rooms` has the queues in which somebody waits for a take, line by line.
local function in_room(name, take)
  return range_of(name .. "\0" .. take)
end
local function without(lines, name)
  local left = {}
  for line in string.gmatch(lines or "", "[^\n]+") do
    left[#left + 1] = line ~= name and line or nil
  end
  return table.concat(left, "\n")
end
-- Some have left this room: if nobody is there any more, it is none.
local function left_room(name, take)
  local from, till = in_room(name, take)
  if redis.call("ZLEXCOUNT", limited, from, till) > 0 then
    return false
  end
  local lines = without(redis.call("HGET", rooms, take), name)
  if lines == "" then
    redis.call("HDEL", rooms, take)
  else
    redis.call("HSET", rooms, take, lines)
  end
  redis.call("ZREM", open, name .. "\0" .. take)
  redis.call("ZREM", permits, name .. "\0" .. take)
  return true
end
