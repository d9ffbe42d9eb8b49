#!lua flags=allow-oom
-- pause: stop claiming from a queue, or go on.
--
-- KEYS  paused    SET   queues that nobody claims from
--       queues    SET   names
--       then sender:<id>, bell:<queue>
-- ARGV  number    int   the sender's number of this write
--       queue     str
--       pause     0|1   0: go on
-- REPLY ok, 1 if that was a change, else 0
--       again, the same: executed before; nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: jobs stay where they are; running ones run on.
-- Repeat: the sender's number decides, so a late copy can't pause a queue again.
-- Cost: O(1).
local paused, queues = unpack(KEYS, 1, 2)
local number, queue, pause = unpack(ARGV, 1, 3)
local sender, bell = unpack(KEYS, 3, 4)
-- @use ring
-- @use sender

redis.call("SCARD", paused)
local is_named = redis.call("SISMEMBER", queues, queue) == 1
redis.call("LLEN", bell)
local before = sent_before(sender, number)
if before then
  return before
end
-- @may
local changed = redis.call(pause == "1" and "SADD" or "SREM", paused, queue)
if pause == "0" and is_named then
  -- What isn't named is empty, and nobody would ever take its bell away.
  ring(bell)
end
remember(sender, number, changed)
return { "ok", changed }
