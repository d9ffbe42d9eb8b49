-- dead: the job won't run again by itself.
--
-- MOVE  running -> dead
-- KEYS  history, reasons
--       dead      ZSET  uid -> died, epoch ms
-- ARGV  failed attempts, reason, history line
-- @use die
local died, tries, why, lines = {}, {}, {}, {}
return {
  fields = 3,
  take = function(uid, at)
    died[#died + 1], why[#why + 1], lines[#lines + 1] = uid, ARGV[at + 1], ARGV[at + 2]
    tries[#tries + 1], tries[#tries + 2] = uid, ARGV[at]
  end,
  write = function()
    redis.call("HSET", attempts, unpack(tries))
    die(died, why, lines, now_ms)
  end,
}
