#!lua flags=allow-oom
-- forget_queues: forget the names of queues that nothing is in, and their bells.
--
-- KEYS  queues    SET   names
--       paused    SET   queues that nobody claims from
--       parked    HASH  queue:name -> since when, how many
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       limited   ZSET  queue NUL take NUL uid, of those that a limit has refused
--       then for each queue: ready, suspects, scheduled, dropped, bell
-- ARGV  n_queues  int   how many names follow
--       then the queues' names
-- REPLY ok
--
-- Invariant: a queue that a job waits in, or that is paused, stays named. Jobs of a queue may
--   run, or be dead: whoever gives one back names its queue again.
-- Repeat: it looks by itself each time.
-- Cost: O(queues named, and doors that jobs are parked behind). Uids that were cancelled and
--   still lie in a queue go with it, freed in the background.
local queues, paused, parked, fair, limited = unpack(KEYS, 1, 5)
local n_queues = unpack(ARGV, 1, 1)
-- @use range

redis.call("SCARD", queues)
redis.call("SCARD", paused)
local n_keyed = redis.call("ZCARD", fair)
redis.call("ZCARD", limited)
-- A name may have a colon in it, if somebody else made it: then all that it can mean counts.
local has_parked = {}
for _, door in ipairs(redis.call("HKEYS", parked)) do
  local colon = string.find(door, ":", 1, true)
  while colon do
    has_parked[string.sub(door, 1, colon - 1)] = true
    colon = string.find(door, ":", colon + 1, true)
  end
end
-- A key of another type is somebody else's, and no reason to keep the other names.
local function length(command, key)
  local counted = redis.pcall(command, key)
  return type(counted) == "number" and counted or -1
end
local function has_rooms(name)
  return redis.call("ZLEXCOUNT", limited, range_of(name)) > 0
end
-- @may
for q = 1, n_queues do
  local name, k = ARGV[1 + q], 5 + (q - 1) * 5
  local ready, suspects, scheduled, dropped, bell = unpack(KEYS, k + 1, k + 5)
  local waiting = length("LLEN", ready)
  local first, last = range_of(name)
  local keyed = n_keyed > 0 and redis.call("ZLEXCOUNT", fair, first, last) or 0
  local is_unused = waiting >= 0 and waiting + keyed == length("SCARD", dropped)
    and length("LLEN", suspects) == 0 and length("ZCARD", scheduled) == 0
    and not has_parked[name] and not has_rooms(name) and redis.call("SISMEMBER", paused, name) == 0
  if is_unused and redis.call("SREM", queues, name) == 1 then
    redis.call("UNLINK", ready, dropped, bell)
    if keyed > 0 then
      redis.call("ZREMRANGEBYLEX", fair, first, last)
    end
  end
end
return { "ok" }
