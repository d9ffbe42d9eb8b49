-- @use in_packs
-- @use packs
-- Which of these jobs run: uid -> boot, step, and where in KEYS what is of that boot begins. In ARGV
-- are the boots' names, and in KEYS of each so many, of which the first are running and packs. Nothing,
-- if other boots are registered than these.
local function claims_of(uids, names_at, n_boots, keys_at, n_keys)
  local listed, found, registered = {}, {}, redis.call("HGETALL", steps)
  for b = 1, n_boots do
    listed[ARGV[names_at + b]] = keys_at + n_keys * (b - 1)
  end
  for r = 1, #registered, 2 do
    local boot, step_of = registered[r], {}
    local at = listed[boot]
    if not at then
      return nil
    end
    local has_packs = in_packs(registered[r + 1]) > 0
    for _, pack in ipairs(has_packs and packs_in(KEYS[at + 2]) or {}) do
      for uid in claims_in(pack) do
        step_of[uid] = pack.step
      end
    end
    for i, claim in ipairs(#uids > 0 and redis.call("HMGET", KEYS[at + 1], unpack(uids)) or {}) do
      local step = string.match(claim or "", "^(%d+):") or step_of[uids[i]]
      if step then
        found[uids[i]] = { boot = boot, step = step, at = at }
      end
    end
  end
  return found
end
