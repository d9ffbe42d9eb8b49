#!lua flags=allow-oom
-- note: what handlers say of how far they are.
--
-- KEYS  notes     HASH  uid -> what was last said of it
--       then running:<boot>
-- ARGV  n_notes   int   how many follow
--       then for each: uid, step that claimed it, note
-- REPLY ok, uids of those whose claim is another by now: refused
--
-- Invariant: only the engine that holds a job says anything of it.
-- Repeat: says the same again. A late copy may put an older note in a newer one's place.
-- Cost: O(jobs).
local notes = unpack(KEYS, 1, 1)
local n_notes = unpack(ARGV, 1, 1)
local running = KEYS[2]

redis.call("HLEN", notes)
redis.call("HLEN", running)
local noted, refused = {}, {}
for n = 1, n_notes do
  local uid, step, text = unpack(ARGV, 3 * n - 1, 3 * n + 1)
  local held = string.match(redis.call("HGET", running, uid) or "", "^(%d+):")
  if held == step then
    noted[#noted + 1], noted[#noted + 2] = uid, text
  else
    refused[#refused + 1] = uid
  end
end
-- @may
if #noted > 0 then
  redis.call("HSET", notes, unpack(noted))
end
return { "ok", refused }
