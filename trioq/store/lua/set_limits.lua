#!lua flags=allow-oom
-- set_limits: somebody sets by hand what limits admit, or single values of their keys, until the next
-- deployment.
--
-- KEYS  limits    HASH  limit, or take -> version:us between two starts:burst:concurrency:keyed
--       rooms     HASH  take -> the queues in which somebody waits for it, a line each
--       open      ZSET  queue NUL take, of rooms that may have something to give
-- ARGV  version   int   of these settings
--       then for each limit, or take: its name, us between two starts, burst, concurrency
--       (0: unlimited), and 1 if it is for each value of a key
-- REPLY ok, the names of which newer settings are known, queues in which somebody waits for another
--
-- Invariant: who runs runs on: where more run than are admitted now, none starts until some have ended.
-- Repeat: what is known of this version or a newer one stays.
-- Cost: O(limits named), and O(takes that somebody waits for) where one has changed.
local limits, rooms, open = unpack(KEYS, 1, 3)
local version = unpack(ARGV, 1, 1)
-- @use changed

redis.call("HLEN", rooms)
redis.call("ZCARD", open)
version = tonumber(version)
local newer, settings, is_changed = {}, {}, {}
for a = 2, #ARGV, 5 do
  local take = ARGV[a]
  local known, newest = redis.call("HMGET", limits, take, string.match(take, "^[^:]*")), {}
  for i = 1, 2 do
    newest[i] = tonumber(string.match(known[i] or "", "^(%d+):") or -1)
  end
  if math.max(newest[1], newest[2]) > version then
    newer[#newer + 1] = take
  elseif newest[1] < version then
    settings[#settings + 1], is_changed[take] = take, true
    settings[#settings + 1] = table.concat({ ARGV[1], unpack(ARGV, a + 1, a + 4) }, ":")
  end
end
-- @may
if #settings == 0 then
  return { "ok", newer, {} }
end
put("HSET", limits, settings)
return { "ok", newer, open_changed(is_changed) }
