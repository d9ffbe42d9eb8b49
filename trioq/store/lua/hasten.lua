#!lua flags=allow-oom
-- hasten: a job that isn't due yet is due now.
--
-- KEYS  jobs      HASH  uid -> record
--       then sender:<id>; its queue's scheduled, bell
-- ARGV  number    int   the sender's number of this write
--       uid       str
--       given_now int   epoch ms, or empty for the server's clock
-- REPLY ok, 1 if it waited for a later time, else 0
--       again, the same: executed before; nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: it stays what it is: its attempts, its history, what it takes. Who moves it is the next
--   step, as if its time had come.
-- Repeat: the sender's number decides: a late copy mustn't hasten the attempt after that.
-- Cost: O(log N).
local jobs = unpack(KEYS, 1, 1)
local number, uid, given_now = unpack(ARGV, 1, 3)
local sender, scheduled, bell = unpack(KEYS, 2, 4)
-- @use now
-- @use ring
-- @use sender

local due = redis.call("HEXISTS", jobs, uid) == 1 and redis.call("ZSCORE", scheduled, uid)
local before = sent_before(sender, number)
if before then
  return before
end
local now_ms = math.floor(clock(given_now) / 1000)
-- @may
local is_later = due and tonumber(due) > now_ms
remember(sender, number, is_later and 1 or 0)
if is_later then
  redis.call("ZADD", scheduled, string.format("%d", now_ms), uid)
  ring(bell)
end
return { "ok", is_later and 1 or 0 }
