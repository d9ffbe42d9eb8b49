#!lua flags=allow-oom
-- purge_dead: forget dead jobs.
--
-- KEYS  dead      ZSET  uid -> died, epoch ms
--       jobs, big, attempts, reaps, history, reasons, id_of, ids, ended
--       stats     HASH  counters
--       waits, notes, results, results_due, flow
--       then sender:<id>
-- ARGV  number    int   the sender's number of this write
--       retention int   ms for which a caller's id is remembered
--       given_now int   epoch ms, or empty for the server's clock
--       then the uids
-- REPLY ok, how many
--       again, how many: executed before; nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: what isn't dead stays where it is.
-- Repeat: the sender's number decides.
-- Cost: O(jobs).
local dead, jobs, big, attempts, reaps, history, reasons, id_of, ids, ended, stats,
  waits, notes, results, results_due, flow = unpack(KEYS, 1, 16)
local number, retention, given_now = unpack(ARGV, 1, 3)
local sender = KEYS[17]
-- @use bump
-- @use now
-- @use forget
-- @use sender

for _, key in ipairs({ jobs, big, attempts, reaps, history, reasons, id_of, ids, stats, waits }) do
  redis.call("HLEN", key)
end
redis.call("HLEN", notes)
redis.call("HLEN", results)
redis.call("HLEN", flow)
redis.call("ZCARD", ended)
redis.call("ZCARD", results_due)
local before = sent_before(sender, number)
if before then
  return before
end
-- @may
local uids = {}
for a = 4, #ARGV do
  if redis.call("ZREM", dead, ARGV[a]) == 1 then
    uids[#uids + 1] = ARGV[a]
  end
end
forget(uids, "dead", math.floor(clock(given_now) / 1000), tonumber(retention))
if #uids > 0 then
  bump(stats, "purged", #uids)
end
remember(sender, number, #uids)
return { "ok", #uids }
