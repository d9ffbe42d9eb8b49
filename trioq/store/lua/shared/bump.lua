-- Add to a counter. Where somebody else wrote something that is none, it begins anew, and where the
-- key can't have counters, nothing is counted: a script that fails after its first write would be
-- half of itself.
local function bump(key, field, more)
  local counted = redis.pcall("HINCRBY", key, field, more)
  if type(counted) == "number" then
    return counted
  end
  redis.pcall("HSET", key, field, more)
  return more
end
