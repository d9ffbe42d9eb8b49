#!lua flags=allow-oom
-- step_aside: these wait for room in a queue no longer.
--
-- KEYS  enqueuers  HASH  uid -> its place in line
--       enqueuers_line  ZSET  who waits for room in queues, in order
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       limited   ZSET  queue NUL take NUL uid, of those that a limit has refused
--       then the queue's ready, scheduled, dropped
-- ARGV  given_now int   epoch ms, or empty for the server's clock
--       queue     name
--       then uids, each of the first job of an enqueue
-- REPLY ok
--
-- Invariant: who isn't in this line stays where it is. Who comes after them is told if there is
--   room now.
-- Repeat: they aren't there any more.
-- Cost: O(uids).
local enqueuers, enqueuers_line, fair, limited = unpack(KEYS, 1, 4)
local ready, scheduled, dropped = unpack(KEYS, 5, 7)
local given_now, queue = unpack(ARGV, 1, 2)
-- @use now
-- @use make_way_in

redis.call("HLEN", enqueuers)
redis.call("ZCARD", enqueuers_line)
redis.call("ZCARD", fair)
redis.call("ZCARD", limited)
redis.call("LLEN", ready)
redis.call("SCARD", dropped)
redis.call("ZCARD", scheduled)
local uids = { unpack(ARGV, 3) }
local places = places_of(uids)
local now_ms = math.floor(clock(given_now) / 1000)
-- @may
for _, uid in ipairs(uids) do
  local place = places[uid]
  if place and place.queue == queue then
    redis.call("ZREM", enqueuers_line, in_line(queue, place.nth, uid))
    redis.call("HDEL", enqueuers, uid)
    places[uid] = nil
  end
end
make_way_in(queue, ready, scheduled, dropped, now_ms)
return { "ok" }
