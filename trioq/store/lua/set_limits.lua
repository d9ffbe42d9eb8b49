#!lua flags=allow-oom
-- set_limits: what limits admit from now on, or single values of their keys; of each the newest holds.
--
-- KEYS  limits    HASH  limit, or take -> version:us between two starts:burst:concurrency:keyed
--       rooms     HASH  take -> the queues in which somebody waits for it, a line each
--       open      ZSET  queue NUL take, of rooms that may have something to give
-- ARGV  version   int   of these settings
--       keeps     1     what is known of values of these limits stays; 0: of what is older it is over
--       then for each limit, or take: its name, us between two starts, burst, concurrency
--       (0: unlimited), and 1 if it is for each value of a key
-- REPLY ok, the names of which newer settings are known, queues in which somebody waits for another
--
-- Invariant: who runs runs on: where more run than are admitted now, none starts until some have ended.
-- Repeat: what is known of this version or a newer one stays.
-- Cost: O(limits, and values with settings of their own), and O(takes that somebody waits for) where a
--   limit has changed.
local limits, rooms, open = unpack(KEYS, 1, 3)
local version, keeps = unpack(ARGV, 1, 2)
-- @use pieces

redis.call("HLEN", rooms)
redis.call("ZCARD", open)
version = tonumber(version)
local known, stored = {}, redis.call("HGETALL", limits)
for s = 1, #stored, 2 do
  known[stored[s]] = tonumber(string.match(stored[s + 1], "^(%d+):") or -1)
end
local function limit_of(take)
  return string.match(take, "^[^:]*")
end
local newer, settings, over, is_told, is_changed = {}, {}, {}, {}, {}
for a = 3, #ARGV, 5 do
  local take = ARGV[a]
  local own, of_limit = known[take] or -1, known[limit_of(take)] or -1
  is_told[take] = true
  if math.max(own, of_limit) > version then
    newer[#newer + 1] = take
  elseif own < version then
    settings[#settings + 1], is_changed[take] = take, true
    settings[#settings + 1] = table.concat({ ARGV[1], unpack(ARGV, a + 1, a + 4) }, ":")
  end
end
for take, since in pairs(keeps == "0" and known or {}) do
  if take ~= limit_of(take) and is_told[limit_of(take)] and since < version then
    over[#over + 1], is_changed[take] = take, true
  end
end
-- @may
if #settings == 0 and #over == 0 then
  return { "ok", newer, {} }
end
put("HDEL", limits, over)
put("HSET", limits, settings)
local names, met, waited_for = {}, {}, redis.call("HGETALL", rooms)
for r = 1, #waited_for, 2 do
  local take = waited_for[r]
  local may_admit = is_changed[take] or is_changed[limit_of(take)]
  for name in string.gmatch(may_admit and waited_for[r + 1] or "", "[^\n]+") do
    redis.call("ZADD", open, 0, name .. "\0" .. take)
    if not met[name] then
      names[#names + 1], met[name] = name, true
    end
  end
end
return { "ok", newer, names }
