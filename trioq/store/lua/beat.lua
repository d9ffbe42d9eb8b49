#!lua flags=allow-oom
-- beat: count one sign of life.
--
-- KEYS  steps     HASH  boot -> its last step
--       beats     HASH  boot -> signs of life
--       stats     HASH  counters
--       ids       HASH  a caller's id -> uid, or how it ended
--       ended     ZSET  a caller's id -> when to forget it
--       results   HASH  uid -> how it ended, and what it returned
--       results_due  ZSET uid -> when to forget that
--       asked     HASH  boot -> how many asks it was ever sent
--       then running:<boot>
-- ARGV  boot      str
--       given_now int   epoch ms, or empty for the server's clock
-- REPLY ok, jobs held, version of the parked index, asks sent
--       gone      not registered; nothing changed
--
-- Invariant: never creates a registration.
-- Repeat: counts another sign of life of an engine that did send it, so at worst a dead
--   engine is found one lease later.
-- Cost: O(1), and O(log n) for each of at most 500 ids and 2,500 results that may
--   be forgotten.
local steps, beats, stats, ids, ended, results, results_due, asked = unpack(KEYS, 1, 8)
local boot, given_now = unpack(ARGV, 1, 2)
local running = KEYS[9]
-- @use bump
-- @use counted
-- @use in_packs
-- @use now
-- @use sweep

redis.call("HLEN", beats)
redis.call("HLEN", ids)
redis.call("HLEN", results)
redis.call("ZCARD", results_due)
local n_asked = counted_in(asked, boot)
local held = redis.call("HLEN", running)
local version = redis.call("HGET", stats, "parked_version") or "0"
local now_ms = math.floor(clock(given_now) / 1000)
local old = redis.call("ZRANGEBYSCORE", ended, "-inf", string.format("%d", now_ms), "LIMIT", 0, 500)
local last = redis.call("HGET", steps, boot)
if not last then
  return { "gone" }
end
-- @may
-- Downwards: an engine of a version that knows no packs takes a number below 0 for nobody's, and so
-- doesn't reap what it couldn't put back.
bump(beats, boot, -1)
if #old > 0 then
  redis.call("HDEL", ids, unpack(old))
  redis.call("ZREM", ended, unpack(old))
end
sweep(2500, now_ms)
return { "ok", held + in_packs(last), version, n_asked }
