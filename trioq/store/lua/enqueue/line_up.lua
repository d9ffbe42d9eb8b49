-- Nothing is written of what is to be enqueued; but whoever enqueues it is in line from now on.
-- @use counted
local is_first = not nth
nth = nth or counted_in(stats, "lined_up") + 1
answer = string.format("wait %s %d %d", refused.name, refused.length, nth)
remember(sender, number, answer)
if is_first then
  bump(stats, "lined_up", 1)
end
if mine then
  redis.call("ZREM", enqueuers_line, in_line(mine.queue, nth, uid))
end
local place = { nth = nth, till = now() + 3000, tried = now(), jobs = refused.n_new, most = refused.max,
                client = string.match(whose, "%S+$"), queue = refused.name,
                id = more and string.match(ARGV[first + 3], "^%Z*") or "" }
redis.call("HSET", enqueuers, uid, as_kept(place))
redis.call("ZADD", enqueuers_line, "0", in_line(refused.name, nth, uid))
