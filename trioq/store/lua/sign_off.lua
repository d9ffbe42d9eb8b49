#!lua flags=allow-oom
-- sign_off: an engine gives everything back and is forgotten.
--
-- KEYS  steps, beats, engines
--       stats     HASH  counters
--       queues    SET   names
--       jobs, big, attempts, reaps, history, reasons, id_of, ids, ended
--       waits, notes, results, results_due
--       done      LIST  summaries, newest first
--       asked     HASH  boot -> how many asks it was ever sent
--       flow      HASH  uid -> a line for its turn, then what it takes of limits, a line each
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       took, slots, limits, tats, open, rooms, dead
--       then running:<boot>, packs:<boot>, asks:<boot>, its own bell; then for each queue: ready,
--       suspects, bell
-- ARGV  boot      str
--       retention int   ms for which a caller's id is remembered
--       keep_done int   how many summaries to keep
--       given_now int   epoch ms, or empty for the server's clock
--       then the queues' names
-- REPLY ok, jobs given back, queues in which a limit has something to give
--       gone      not registered; nothing changed
--       look again, queues: some of its jobs came from these; nothing changed
--
-- Invariant: every job of the engine is again where it was claimed from, at the head and in
--   order; no attempt is counted and nobody is blamed. What somebody has asked to end is cancelled.
--   What their claims took of limits is there for others.
-- Repeat: the second time the engine is gone.
-- Cost: O(jobs held), at most 2,000.
local steps, beats, engines, stats, queues, jobs, big, attempts, reaps, history, reasons, id_of, ids,
  ended, waits, notes, results, results_due, done, asked, flow, fair,
  took, slots, limits, tats, open, rooms, dead = unpack(KEYS, 1, 29)
local boot, retention, keep_done, given_now = unpack(ARGV, 1, 4)
local running, packs, asks, own_bell = unpack(KEYS, 30, 33)
-- @use asked
-- @use bump
-- @use cancelled
-- @use now
-- @use free
-- @use held
-- @use limits_of

redis.call("HLEN", beats)
redis.call("HLEN", engines)
redis.call("HLEN", stats)
for _, key in ipairs({ jobs, big, attempts, reaps, history, reasons, id_of, ids, waits, notes }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ results, asked, asks, flow }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ took, slots, limits, rooms }) do
  redis.call("HLEN", key)
end
redis.call("ZCARD", tats)
redis.call("ZCARD", open)
redis.call("ZCARD", ended)
redis.call("ZCARD", dead)
redis.call("ZCARD", fair)
redis.call("ZCARD", results_due)
redis.call("LLEN", done)
redis.call("SCARD", queues)
if redis.call("HEXISTS", steps, boot) == 0 then
  return { "gone" }
end
local entries, astray = entries_of(running, packs)
local place, missing = places(34, 5, entries)
if #missing > 0 then
  return { "look again", missing }
end
local now_ms = math.floor(clock(given_now) / 1000)
keep_done = tonumber(keep_done)
-- @may
local freed, waited_in = free(uids_of(entries, {}))
local unwanted, left = divided(asks, entries)
return_to_queues(left, place, false)
end_cancelled(unwanted.uids, unwanted.keeps, unwanted.summaries, now_ms, tonumber(retention))
if #astray == 0 then
  redis.call("DEL", running, packs, asks, own_bell)
  redis.call("HDEL", asked, boot)
  redis.call("HDEL", steps, boot)
  redis.call("HDEL", beats, boot)
  redis.call("HDEL", engines, boot)
else
  -- What can't be given back is the reaper's, who finds a silent engine with nothing else.
  for _, entry in ipairs(entries) do
    redis.call("HDEL", running, entry.uid)
    redis.call("HDEL", asks, entry.uid)
  end
  for _, pack in ipairs(packs_in(packs)) do
    redis.call("HDEL", packs, pack.field)
  end
end
if #left > 0 then
  bump(stats, "released", #left)
end
return { "ok", #left, waiting_for(freed, waited_in) }
