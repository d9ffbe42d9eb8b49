-- retry: the job is scheduled again; without a history line, it only asked to wait.
--
-- MOVE  running -> scheduled
-- KEYS  history
-- ARGV  delay ms, failed attempts, history line
-- @use history
local retried, tries, lines, due = {}, {}, {}, {}
return {
  fields = 3,
  take = function(uid, at, queue)
    retried[#retried + 1], lines[#lines + 1] = uid, ARGV[at + 2]
    tries[#tries + 1], tries[#tries + 2] = uid, ARGV[at + 1]
    due[queue] = due[queue] or {}
    table.insert(due[queue], string.format("%d", now_ms + tonumber(ARGV[at])))
    table.insert(due[queue], uid)
  end,
  write = function()
    redis.call("HSET", attempts, unpack(tries))
    note(retried, lines)
    for queue, members in pairs(due) do
      redis.call("ZADD", queue.scheduled, unpack(members))
      waits_in(queue)
      queue.first = redis.call("ZRANGE", queue.scheduled, 0, 0, "WITHSCORES")
    end
    bump(stats, "retried", #retried)
  end,
}
