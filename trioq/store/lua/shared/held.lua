-- @use give_back
-- @use keyed_back
-- @use packs
-- @use ring
-- Everything an engine holds, in the order in which it claimed it; then the uids of which
-- nobody can tell where they came from, because somebody else wrote there.
local function entries_of(key, packs_key)
  local flat, entries, astray = redis.call("HGETALL", key), {}, {}
  for e = 1, #flat, 2 do
    local step, nth, flag, from = string.match(flat[e + 1], "^(%d+):(%d+):(s?):(.*)$")
    if step then
      entries[#entries + 1] = { uid = flat[e], step = tonumber(step), nth = tonumber(nth),
                                suspect = flag == "s", from = from }
    else
      astray[#astray + 1] = flat[e]
    end
  end
  local packs, odd = packs_in(packs_key)
  for _, pack in ipairs(packs) do
    for uid, nth in claims_in(pack) do
      entries[#entries + 1] = { uid = uid, step = tonumber(pack.step), nth = nth, suspect = false,
                                from = pack.from }
    end
  end
  for _, text in ipairs(odd) do
    for uid in string.gmatch(text, "[^ :]+") do
      astray[#astray + 1] = uid
    end
  end
  table.sort(entries, in_order)
  return entries, astray
end
local function uids_of(entries, astray)
  local uids = {}
  for i, entry in ipairs(entries) do
    uids[i] = entry.uid
  end
  for _, uid in ipairs(astray) do
    uids[#uids + 1] = uid
  end
  return uids
end
-- The queues' keys by name, and the queues that entries came from but that KEYS lacks.
local function places(first_key, first_arg, entries)
  local place, missing = {}, {}
  for a = first_arg, #ARGV do
    local k = first_key + (a - first_arg) * 3
    place[ARGV[a]] = { ready = KEYS[k], suspects = KEYS[k + 1], bell = KEYS[k + 2] }
  end
  for _, entry in ipairs(entries) do
    if not place[entry.from] then
      place[entry.from] = {}
      missing[#missing + 1] = entry.from
    end
  end
  for _, keys in pairs(place) do
    for _, key in pairs(keys) do
      redis.call("LLEN", key)
    end
  end
  return place, missing
end
-- Put entries back into their queues, which may have been forgotten meanwhile, and ring there.
local function return_to_queues(entries, place, as_suspects)
  local bells, names = {}, {}
  for _, entry in ipairs(entries) do
    local keys = place[entry.from]
    local to_suspects = as_suspects or entry.suspect
    entry.list = to_suspects and keys.suspects or keys.ready
    entry.ready_of = not to_suspects and entry.from
    if not bells[keys.bell] then
      bells[keys.bell], names[#names + 1] = true, entry.from
    end
  end
  give_back(keyed_back(entries))
  if #names > 0 then
    redis.call("SADD", queues, unpack(names))
  end
  for bell in pairs(bells) do
    ring(bell)
  end
end
