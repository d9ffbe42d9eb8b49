-- @use bump
-- `parked` notes for each door since when how many jobs, the oldest, have waited behind it.
local function noted_behind(door)
  local since, noted = string.match(redis.call("HGET", parked, door) or "", "^(%d+):(%d+)$")
  return tonumber(noted or 0), since or "0"
end
-- Some have left, so many of the noted among them: note how many are left, or that nobody is.
local function left_door(list, door, noted_gone)
  if redis.call("LLEN", list) > 0 then
    local noted, since = noted_behind(door)
    redis.call("HSET", parked, door, string.format("%s:%d", since, noted - noted_gone))
  elseif redis.call("HDEL", parked, door) == 1 then
    bump(stats, "parked_version", 1)
  end
end
