#!lua flags=allow-oom
-- reset_breaker: close a breaker in all engines.
--
-- KEYS  breakers  HASH  name -> its state, where all engines share it, and its resets
--       then sender:<id>
-- ARGV  number    int   the sender's number of this write
--       name      str
--       given_now int   epoch ms, or empty for the server's clock
-- REPLY ok, 1 if it is shared and wasn't closed, else 0
--       again, the same: executed before; nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: what was found before says nothing any more; engines whose own breaker isn't closed
--   see that there was one reset more.
-- Repeat: the sender's number decides, so a late copy can't close it again.
-- Cost: O(engines that have said something of it).
local breakers = unpack(KEYS, 1, 1)
local number, name, given_now = unpack(ARGV, 1, 3)
local sender = KEYS[2]
-- @use breaker
-- @use now
-- @use sender

local now_ms = math.floor(clock(given_now) / 1000)
local b = breaker_of(redis.call("HGET", breakers, name))
local before = sent_before(sender, number)
if before then
  return before
end
-- @may
local was_shut = b.state == "closed" and 0 or 1
b.resets = b.resets + 1
turn_breaker(b, "closed", now_ms)
redis.call("HSET", breakers, name, breaker_text(b))
remember(sender, number, was_shut)
return { "ok", was_shut }
