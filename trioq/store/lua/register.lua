#!lua flags=allow-oom
-- register: make an engine's boot known, once.
--
-- KEYS  steps     HASH  engine -> its last step
--       beats     HASH  engine -> signs of life
--       engines   HASH  engine -> what it says of itself
-- ARGV  engine    str   <name>.<boot>, never used before
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
local engine, info = unpack(ARGV, 1, 2)

redis.call("HLEN", beats)
redis.call("HLEN", engines)
if redis.call("HEXISTS", steps, engine) == 1 then
  return { "again" }
end
-- @may
redis.call("HSET", steps, engine, "0")
redis.call("HSET", beats, engine, "0")
redis.call("HSET", engines, engine, info)
return { "ok" }
