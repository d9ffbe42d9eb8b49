#!lua flags=allow-oom
-- set_limits: a deployment says what its limits admit; of each the newest holds.
--
-- KEYS  limits    HASH  limit -> version:us between two starts:burst:concurrency
--       rooms     HASH  take -> the queues in which somebody waits for it, a line each
--       open      ZSET  queue NUL take, of rooms that may have something to give
-- ARGV  version   int   of these settings
--       then for each limit: name, us between two starts, burst, concurrency (0: unlimited)
-- REPLY ok, the names of which newer settings are known, queues in which somebody waits for another
--
-- Invariant: who runs runs on: where more run than are admitted now, none starts until some have ended.
-- Repeat: what is known of this version or a newer one stays.
-- Cost: O(limits), and O(takes that somebody waits for) where a limit has changed.
local limits, rooms, open = unpack(KEYS, 1, 3)
local version = unpack(ARGV, 1, 1)

redis.call("HLEN", rooms)
redis.call("ZCARD", open)
local newer, settings, is_new = {}, {}, {}
for a = 2, #ARGV, 4 do
  local known = tonumber(string.match(redis.call("HGET", limits, ARGV[a]) or "", "^(%d+):") or -1)
  if known > tonumber(version) then
    newer[#newer + 1] = ARGV[a]
  elseif known < tonumber(version) then
    settings[#settings + 1], is_new[ARGV[a]] = ARGV[a], true
    settings[#settings + 1] = table.concat({ version, unpack(ARGV, a + 1, a + 3) }, ":")
  end
end
-- @may
if #settings == 0 then
  return { "ok", newer, {} }
end
redis.call("HSET", limits, unpack(settings))
local names, met, waited_for = {}, {}, redis.call("HGETALL", rooms)
for r = 1, #waited_for, 2 do
  local take = waited_for[r]
  for name in string.gmatch(is_new[string.match(take, "^[^:]*")] and waited_for[r + 1] or "", "[^\n]+") do
    redis.call("ZADD", open, 0, name .. "\0" .. take)
    if not met[name] then
      names[#names + 1], met[name] = name, true
    end
  end
end
return { "ok", newer, names }
