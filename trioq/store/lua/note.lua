#!lua flags=allow-oom
-- note: what handlers say of how far they are.
--
-- KEYS  notes     HASH  uid -> what was last said of it
--       then running:<boot>, packs:<boot>
-- ARGV  n_notes   int   how many follow
--       then for each: uid, step that claimed it, note
-- REPLY ok, uids of those whose claim is another by now: refused
--
-- Invariant: only the engine that holds a job says anything of it.
-- Repeat: says the same again. A late copy may put an older note in a newer one's place.
-- Cost: O(jobs); where one lies in a pack, O(jobs held), at most 1,000.
local notes = unpack(KEYS, 1, 1)
local n_notes = unpack(ARGV, 1, 1)
local running, packs = unpack(KEYS, 2, 3)
-- @use packs

redis.call("HLEN", notes)
redis.call("HLEN", running)
local noted, refused, step_of = {}, {}, nil
local function in_pack(uid)
  if not step_of then
    step_of = {}
    for _, pack in ipairs(packs_in(packs)) do
      for each in claims_in(pack) do
        step_of[each] = pack.step
      end
    end
  end
  return step_of[uid]
end
for n = 1, n_notes do
  local uid, step, text = unpack(ARGV, 3 * n - 1, 3 * n + 1)
  local held = string.match(redis.call("HGET", running, uid) or "", "^(%d+):") or in_pack(uid)
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
