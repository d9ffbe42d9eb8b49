-- dead: the job won't run again by itself.
--
-- MOVE  running -> dead
-- KEYS  history, reasons, waits
--       dead      ZSET  uid -> died, epoch ms
-- ARGV  failed attempts, reason, history line
-- @use die
-- @use pairs_of
-- @types
redis.call("HLEN", attempts)
now()
-- @may
return {
  fields = 3,
  write = function(uids, _, tries, why, lines)
    redis.call("HSET", attempts, unpack(pairs_of(uids, tries)))
    die(uids, why, lines, now_ms)
  end,
}
