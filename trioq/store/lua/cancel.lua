#!lua flags=allow-oom
-- cancel: a job that isn't running shall not run.
--
-- KEYS  steps
--       jobs, big, attempts, reaps, history, reasons, id_of, ids, ended
--       dead      ZSET  uid -> died, epoch ms
--       stats     HASH  counters
--       parked    HASH  queue:name -> since when, how many
--       then sender:<id>; scheduled, suspects, dropped of its queue; its parked list;
--       then running:<boot> for each engine
-- ARGV  number    int   the sender's number of this write
--       uid       str
--       door      str   queue:name of its parked list
--       retention int   ms for which the caller's id is remembered
--       given_now int   epoch ms, or empty for the server's clock
--       then the boots' names
-- REPLY cancelled
--       again, word: executed before; nothing changed
--       old       a number before the last; nothing changed
--       running   an engine has it; nothing changed
--       dead      it is dead already; nothing changed
--       unknown   there is no such job; nothing changed
--       look again: there are other engines than these; nothing changed
--
-- Invariant: the record goes at once. A uid that lies in `ready` stays there, counted in
--   `dropped`, until a claim passes over it.
-- Repeat: the sender's number decides, also for an answer that changed nothing.
-- Cost: O(engines), and O(length) of the parked and suspect lists: about 16 ms for a million.
local steps, jobs, big, attempts, reaps, history, reasons, id_of, ids, ended,
  dead, stats, parked = unpack(KEYS, 1, 13)
local number, uid, door, retention, given_now = unpack(ARGV, 1, 5)
local sender, scheduled, suspects, dropped, waiting = unpack(KEYS, 14, 18)
-- @use bump
-- @use now
-- @use forget
-- @use sender
-- @use doors

for _, key in ipairs({ big, attempts, reaps, history, reasons, id_of, ids, stats, parked }) do
  redis.call("HLEN", key)
end
redis.call("ZCARD", ended)
redis.call("LLEN", suspects)
local length = redis.call("LLEN", waiting)
redis.call("SCARD", dropped)
redis.call("ZCARD", scheduled)
local before = sent_before(sender, number)
if before then
  return before
end
-- @may
-- Remembered whatever it is: a late copy of a request that was told "running" must not cancel
-- the job when it waits again.
local function answer(word)
  remember(sender, number, word)
  return { word }
end
if redis.call("HEXISTS", jobs, uid) == 0 then
  return answer("unknown")
end
if redis.call("ZSCORE", dead, uid) then
  return answer("dead")
end
local listed = {}
for a = 6, #ARGV do
  listed[ARGV[a]] = true
end
for _, boot in ipairs(redis.call("HKEYS", steps)) do
  if not listed[boot] then
    return { "look again" }
  end
end
for k = 19, #KEYS do
  if redis.call("HEXISTS", KEYS[k], uid) == 1 then
    return answer("running")
  end
end
local now_ms = math.floor(clock(given_now) / 1000)

if redis.call("ZREM", scheduled, uid) == 0 and redis.call("LREM", suspects, 1, uid) == 0 then
  -- The list is gone through once, from its oldest. Whether the job was among the noted, who are
  -- the oldest, is told by the newest of them: it moves if one of them goes.
  local noted = math.min(noted_behind(door), length)
  local newest = noted > 0 and redis.call("LINDEX", waiting, -noted)
  if redis.call("LREM", waiting, -1, uid) == 0 then
    redis.call("SADD", dropped, uid)
  else
    local moved = noted > 0 and redis.call("LINDEX", waiting, -noted) ~= newest
    left_door(waiting, door, moved and 1 or 0)
  end
end
forget({ uid }, "cancelled", now_ms, tonumber(retention))
bump(stats, "cancelled", 1)
return answer("cancelled")
