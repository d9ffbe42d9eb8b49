-- Everything an engine holds, in the order in which it claimed it.
local function entries_of(key)
  local flat, entries = redis.call("HGETALL", key), {}
  for e = 1, #flat, 2 do
    local step, i, flag, from = string.match(flat[e + 1], "^(%d+):(%d+):(s?):(.*)$")
    entries[#entries + 1] = { uid = flat[e], step = tonumber(step), i = tonumber(i), suspect = flag == "s", from = from }
  end
  table.sort(entries, function(a, b)
    if a.step ~= b.step then
      return a.step < b.step
    end
    return a.i < b.i
  end)
  return entries
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
-- Put uids at the heads of their lists: the last pushed is the first out.
local function give_back(entries, place, as_suspects)
  local heads = {}
  for e = #entries, 1, -1 do
    local keys = place[entries[e].from]
    local list = (as_suspects or entries[e].suspect) and keys.suspects or keys.ready
    heads[list] = heads[list] or { uids = {}, bell = keys.bell }
    table.insert(heads[list].uids, entries[e].uid)
  end
  for list, head in pairs(heads) do
    redis.call("RPUSH", list, unpack(head.uids))
    ring(head.bell)
  end
end
