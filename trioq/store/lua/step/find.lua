-- find: where the claims lie that are settled. `holds` has for each the pack that it lies in, or what
-- `running` says of it; nothing, if it isn't held by that claim.
--
-- Mostly a pack ends whole and in its order, and nobody looks at each of it. Who is taken out of a
-- pack is noted there: where two speak of one claim, the earlier counts.
if #there == 0 then
  -- All are alone, and read as they come.
  local i = 0
  holds = redis.call("HMGET", running, unpack(ARGV, uids_at + 1, uids_at + n_settled))
  for r = runs_at + 1, runs_at + 2 * n_runs, 2 do
    local claim = ARGV[r] .. ":"
    for _ = 1, ARGV[r + 1] do
      i = i + 1
      if holds[i] and string.find(holds[i], claim, 1, true) ~= 1 then
        holds[i] = false
      end
    end
  end
else
  local first_in, of_step = {}, {}
  for _, pack in ipairs(there) do
    first_in[string.match(pack.uids, "^[^ ]+")] = pack
  end
  local function packs_of(step)
    local found = of_step[step]
    if not found then
      found = {}
      for _, pack in ipairs(there) do
        if pack.step == step and pack.n_out < pack.count then
          for uid in string.gmatch(pack.uids, "[^ ]+") do
            found[uid] = pack
          end
        end
      end
      of_step[step] = found
    end
    return found
  end
  local i, g, alone, claimed_by = 1, 1, {}, {}
  for r = runs_at + 1, runs_at + 2 * n_runs, 2 do
    local step, last = ARGV[r], i + ARGV[r + 1] - 1
    local claim = step .. ":"
    while i <= last do
      while i > groups[g].last do
        g = g + 1
      end
      local uid, returns = ARGV[uids_at + i], groups[g].verb.returns
      local pack = first_in[uid]
      local till = pack and i + pack.count - 1
      if pack and pack.step == step and pack.n_out == 0 and not returns
          and till <= last and till <= groups[g].last
          and table.concat(ARGV, " ", uids_at + i, uids_at + till) == pack.uids then
        for each = i, till do
          holds[each] = pack
        end
        pack.n_out, i = pack.count, till
      else
        pack = packs_of(step)[uid]
        if not pack then
          loose[#loose + 1], alone[#alone + 1], claimed_by[#alone + 1] = i, uid, claim
        elseif pack.n_out < pack.count and not pack.out[uid]
            and not (returns and not queue_of(pack.from)) then
          holds[i], pack.out[uid], pack.n_out = pack, true, pack.n_out + 1
        end
      end
      i = i + 1
    end
  end
  if #loose == 0 then
    n_alone = redis.call("HLEN", running)
  else
    for l, claim in ipairs(redis.call("HMGET", running, unpack(alone))) do
      if claim and string.find(claim, claimed_by[l], 1, true) == 1 then
        holds[loose[l]] = claim
      end
    end
  end
end
