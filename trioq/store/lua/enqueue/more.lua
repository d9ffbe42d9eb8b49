-- What isn't plain has more than a record.
put("HSET", big, more.bigs)
put("HSET", seen, more.marks)
if #more.ids > 0 then
  put("ZREM", ended, more.freed)
  put("HSET", ids, more.ids)
  put("HSET", id_of, more.id_of)
end
for _, queue in ipairs(place) do
  put("ZADD", queue.scheduled, queue.due)
end
if more.tat then
  redis.call("SET", limit, more.tat, "PX", more.ttl_ms)
end
