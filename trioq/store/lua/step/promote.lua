-- promote: what is due becomes ready, in order of its time, behind what is ready already.
--
-- MOVE  scheduled -> ready
local room = 256
for q = 1, n_queues do
  local queue = queues[q]
  local first = queue and queue.first[2] and tonumber(queue.first[2])
  if first and first <= now_ms and room > 0 then
    local until_now = string.format("%d", now_ms)
    local due = redis.call("ZRANGEBYSCORE", queue.scheduled, "-inf", until_now, "LIMIT", 0, room)
    redis.call("ZREM", queue.scheduled, unpack(due))
    local plain = has_rows and keyed_promoted(queue, due) or due
    if #plain > 0 then
      queue.n_ready = redis.call("LPUSH", queue.ready, unpack(plain))
    end
    queue.first = redis.call("ZRANGE", queue.scheduled, 0, 0, "WITHSCORES")
    room = room - #due
  end
end
