-- one: a single plain job for a queue that may be as long as it likes, which is most of what is enqueued
-- by itself. All else goes the long way, which would do the same with it.
local jobs, queues, stats, sender, ready, bell = unpack(KEYS)
local number, name, uid, record = unpack(ARGV)
local before, is_new = sent_before(sender, number)
if before then
  return before
end
local is_known = redis.call("SISMEMBER", queues, name) == 1
local n_there, is_rung = redis.call("EXISTS", ready, bell), false
if n_there > 0 then
  is_rung = redis.call("LLEN", ready) == 0 or n_there == 2
end
-- The first write is an HSET: where that may not be, nothing has been written.
-- @may only HINCRBY, LPUSH, SET
if not is_known then
  -- @may only SADD
end
-- It may have been taken before, by this very request, whose number was forgotten.
if not is_new or redis.call("HEXISTS", jobs, uid) == 0 then
  redis.call("HSET", jobs, uid, record)
  redis.call("LPUSH", ready, uid)
  if not is_rung then
    redis.call("LPUSH", bell, "1")
  end
  if not is_known then
    redis.call("SADD", queues, name)
  end
  bump(stats, "enqueued", 1)
end
remember(sender, number, "1")
return { "ok", "1", "0" }
