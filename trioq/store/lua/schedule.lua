#!lua flags=allow-oom
-- schedule: from now on a schedule is as this says, or there is none.
--
-- KEYS  schedules  HASH  name -> what it says of itself
--       ticks      ZSET  name -> its next tick, epoch ms
--       runs       HASH  name -> the uids of its last runs
--       ticked     HASH  name -> what became of its last ticks, a line each
--       owners     HASH  name -> the app that lists it, or did
--       unlisted   HASH  name -> since when it isn't listed any more, and since when it is retired
--       paused     SET   what nobody claims from, or runs; schedules: ~names
--       pauses     HASH  the same -> since when, until when, who and why
--       then sender:<id>
-- ARGV  number    int   the sender's number of this write
--       name      str
--       row       str   what it says of itself; empty: there is none
--       following int   its next tick; 0: none
--       given_now int   epoch ms, or empty for the server's clock
-- REPLY ok, 1 if that was a change, else 0; 2: a deployment lists it, so nothing changed
--       again, the same: executed before; nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: a tick that has come stays, whatever the schedule says from now on. What a deployment
--   lists stays as it is until it is retired. Of what is removed nothing stays.
-- Repeat: the sender's number decides, so a late copy can't put back what was.
-- Cost: O(1), and O(log(schedules)) for the tick.
local schedules, ticks, runs, ticked, owners, unlisted, paused, pauses = unpack(KEYS, 1, 8)
local number, name, row, following, given_now = unpack(ARGV, 1, 5)
local sender = KEYS[9]
-- @use now
-- @use sender

-- @types
local known = redis.call("HGET", schedules, name)
local at = tonumber(redis.call("ZSCORE", ticks, name) or nil)
local has_come = at and at * 1000 <= clock(given_now)
local is_retired = string.find(redis.call("HGET", unlisted, name) or "", "^%d+ %d")
local is_listed = redis.call("HEXISTS", owners, name) == 1 and not is_retired
local before = sent_before(sender, number)
if before then
  return before
end
-- @may
if is_listed then
  remember(sender, number, 2)
  return { "ok", 2 }
end
local changed = 0
redis.call("HDEL", owners, name)
redis.call("HDEL", unlisted, name)
if row == "" then
  changed = redis.call("HDEL", schedules, name)
  redis.call("ZREM", ticks, name)
  redis.call("HDEL", runs, name)
  redis.call("HDEL", ticked, name)
  redis.call("SREM", paused, "~" .. name)
  redis.call("HDEL", pauses, "~" .. name)
elseif row ~= known then
  changed = 1
  redis.call("HSET", schedules, name, row)
  if not has_come and following == "0" then
    redis.call("ZREM", ticks, name)
  elseif not has_come then
    redis.call("ZADD", ticks, following, name)
  end
end
remember(sender, number, changed)
return { "ok", changed }
