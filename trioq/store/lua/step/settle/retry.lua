-- retry: the job is scheduled again; without a history line, it only asked to wait.
--
-- MOVE  running -> scheduled
-- KEYS  history
-- ARGV  delay ms, failed attempts, history line
-- @use history
-- @use pairs_of
-- @use waits_in
-- @types
redis.call("HLEN", attempts)
now()
-- @may
return {
  fields = 3,
  returns = true,
  write = function(uids, origins, delays, tries, lines)
    redis.call("HSET", attempts, unpack(pairs_of(uids, tries)))
    has_attempts = true  -- of those due at once, this very step may claim some
    note(uids, lines)
    local due = {}
    for i, origin in ipairs(origins) do
      due[origin.queue] = due[origin.queue] or {}
      table.insert(due[origin.queue], string.format("%d", now_ms + tonumber(delays[i])))
      table.insert(due[origin.queue], uids[i])
    end
    for queue, members in pairs(due) do
      redis.call("ZADD", queue.scheduled, unpack(members))
      waits_in(queue)
      queue.first = redis.call("ZRANGE", queue.scheduled, 0, 0, "WITHSCORES")
    end
    bump(stats, "retried", #uids)
  end,
}
