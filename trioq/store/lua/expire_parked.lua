#!lua flags=allow-oom
-- expire_parked: dead-letter jobs whose name no engine has known for too long.
--
-- KEYS  parked    HASH  queue:name -> since when, how many
--       history, reasons
--       dead      ZSET  uid -> died, epoch ms
--       stats     HASH  counters
--       waits, behind
--       then the parked list, its dropped_behind
-- ARGV  door      str   queue:name
--       after     int   ms that a job waits at least
--       limit     int   how many at most
--       line      json  history line
--       given_now int   epoch ms, or empty for the server's clock
-- REPLY ok, uids now dead
--
-- Invariant: `parked` notes since when how many have waited. Only these die; the others
--   are noted then, so that each waits between once and twice the time. Who was cancelled is
--   passed over.
-- Repeat: what is dead is no longer parked, and the rest waits from a later time.
-- Cost: O(limit).
local parked, history, reasons, dead, stats, waits, behind = unpack(KEYS, 1, 7)
local door, after, limit, line, given_now = unpack(ARGV, 1, 5)
local list, dropped = unpack(KEYS, 8, 9)
-- @use bump
-- @use now
-- @use die

for _, key in ipairs({ history, reasons, stats, waits }) do
  redis.call("HLEN", key)
end
redis.call("SCARD", behind)
redis.call("SCARD", dropped)
redis.call("ZCARD", dead)
local length = redis.call("LLEN", list)
local since, marked = string.match(redis.call("HGET", parked, door) or "", "^(%d+):(%d+)$")
local now_ms = math.floor(clock(given_now) / 1000)
if since and now_ms - tonumber(since) < tonumber(after) then
  return { "ok", {} }
end
-- @may
if not since then
  -- Nobody has noted, or nobody can read, since when they wait: since now.
  if length > 0 then
    redis.call("HSET", parked, door, string.format("%d:%d", now_ms, length))
  elseif redis.call("HDEL", parked, door) == 1 then
    bump(stats, "parked_version", 1)
  end
  return { "ok", {} }
end
marked = math.min(tonumber(marked), length)
local count = math.min(marked, tonumber(limit))
local taken = count > 0 and redis.call("RPOP", list, count) or {}
local uids, why, lines = {}, {}, {}
for _, uid in ipairs(taken) do
  if redis.call("SREM", dropped, uid) == 0 then
    uids[#uids + 1], why[#why + 1], lines[#lines + 1] = uid, "unknown_name", line
  end
end
if #uids > 0 then
  redis.call("SREM", behind, unpack(uids))
end
die(uids, why, lines, now_ms)
if length == #taken then
  redis.call("HDEL", parked, door)
  bump(stats, "parked_version", 1)
elseif marked == #taken then
  redis.call("HSET", parked, door, string.format("%d:%d", now_ms, length - #taken))
else
  redis.call("HSET", parked, door, string.format("%d:%d", since, marked - #taken))
end
return { "ok", uids }
