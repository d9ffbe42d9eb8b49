#!lua flags=allow-oom
-- register: make an engine's boot known, once.
--
-- KEYS  steps     HASH  boot -> its last step
--       beats     HASH  boot -> signs of life
--       engines   HASH  boot -> what it says of itself
-- ARGV  boot      str   the engine's name and 128 random bits, never used before
--       info      json  what it says of itself
-- REPLY ok
--       again     it is registered; nothing changed
--
-- Invariant: an engine is registered if and only if it has a field in `steps`, and then
--   it has one in `beats` and `engines` too.
-- Repeat: a late copy finds the boot registered, or would register a boot that nobody
--   uses; the reaper takes that one away. So an engine never sends this twice.
-- Cost: O(1).
local steps, beats, engines = unpack(KEYS, 1, 3)
local boot, info = unpack(ARGV, 1, 2)

redis.call("HLEN", beats)
redis.call("HLEN", engines)
if redis.call("HEXISTS", steps, boot) == 1 then
  return { "again" }
end
-- @may
redis.call("HSET", steps, boot, "0")
redis.call("HSET", beats, boot, "-1")  -- counted downwards: see beat
redis.call("HSET", engines, boot, info)
return { "ok" }
