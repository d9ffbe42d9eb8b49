#!lua flags=allow-oom
-- ring_bells: something may be claimable in these queues.
--
-- KEYS  queues    SET   names
--       then each queue's bell
-- ARGV  n_queues  int   how many names follow
--       then the queues' names
-- REPLY ok
--
-- Invariant: a bell that nobody would ever take away isn't rung: what isn't named is empty.
-- Repeat: a bell that has rung isn't rung again.
-- Cost: O(queues).
local queues = unpack(KEYS, 1, 1)
local n_queues = unpack(ARGV, 1, 1)
-- @use ring

redis.call("SCARD", queues)
-- @may
for q = 1, n_queues do
  if redis.call("SISMEMBER", queues, ARGV[1 + q]) == 1 then
    ring(KEYS[1 + q])
  end
end
return { "ok" }
