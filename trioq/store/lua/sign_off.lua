#!lua flags=allow-oom
-- sign_off: an engine gives everything back and is forgotten.
--
-- KEYS  steps, beats, engines
--       stats     HASH  counters
--       queues    SET   names
--       then running:<boot>; then for each queue: ready, suspects, bell
-- ARGV  boot      str
--       then the queues' names
-- REPLY ok, jobs given back
--       gone      not registered; nothing changed
--       look again, queues: some of its jobs came from these; nothing changed
--
-- Invariant: every job of the engine is again where it was claimed from, at the head and in
--   order; no attempt is counted and nobody is blamed.
-- Repeat: the second time the engine is gone.
-- Cost: O(jobs held), at most 1,000.
local steps, beats, engines, stats, queues = unpack(KEYS, 1, 5)
local boot = unpack(ARGV, 1, 1)
local running = KEYS[6]
-- @use bump
-- @use held

redis.call("HLEN", beats)
redis.call("HLEN", engines)
redis.call("HLEN", stats)
redis.call("SCARD", queues)
if redis.call("HEXISTS", steps, boot) == 0 then
  return { "gone" }
end
local entries, astray = entries_of(running)
local place, missing = places(7, 2, entries)
if #missing > 0 then
  return { "look again", missing }
end
-- @may
return_to_queues(entries, place, false)
if #astray == 0 then
  redis.call("DEL", running)
  redis.call("HDEL", steps, boot)
  redis.call("HDEL", beats, boot)
  redis.call("HDEL", engines, boot)
else
  -- What can't be given back is the reaper's, who finds a silent engine with nothing else.
  for _, entry in ipairs(entries) do
    redis.call("HDEL", running, entry.uid)
  end
end
if #entries > 0 then
  bump(stats, "released", #entries)
end
return { "ok", #entries }
