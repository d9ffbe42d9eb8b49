-- Whoever enqueues is in line no longer, and others may come after it.
-- @use make_way
if mine then
  redis.call("ZREM", enqueuers_line, in_line(mine.queue, nth, uid))
  redis.call("HDEL", enqueuers, uid)
end
for _, queue in ipairs(place) do
  if queue.max > 0 then
    make_way(queue.name, queue.length + queue.n_new - (queue.too_many or 0), now_ms)
  end
end
