-- settle: what is settled leaves `running`, and each verb puts its own where it belongs.
--
-- Refused is whose claim is another by now, whom this step settles twice, and who would go back to
-- a queue that this step doesn't name: it would have nowhere to go. Their holds are forgotten.
-- @use asked
local n_out = 0
local function refuse(i)
  holds[i], n_out = false, n_out + 1
  refused[#refused + 1] = ARGV[uids_at + i]
end
for i = 1, n_settled do
  if not holds[i] then
    refuse(i)
  end
end
local origins = {}
local function origin_of(hold, uid)
  if type(hold) == "table" then
    if not hold.nth_of then
      hold.nth_of = {}
      for each, nth in claims_in(hold) do
        hold.nth_of[each] = nth
      end
    end
    return hold.step, hold.nth_of[uid], "", hold.from
  end
  return string.match(hold, "^(%d+):(%d+):(s?):(.*)$")
end
for _, group in ipairs(groups) do
  for i = group.first, group.verb.returns and group.last or 0 do
    local step, nth, flag, from = origin_of(holds[i] or "", ARGV[uids_at + i])
    local queue = step and queue_of(from)
    if queue then
      origins[i] = { queue = queue, step = tonumber(step), nth = tonumber(nth), suspect = flag == "s" }
    elseif holds[i] then
      refuse(i)
    end
  end
end

-- What those of a group that aren't refused have in a column: mostly, that is all of it.
local function column(at, first, last)
  if n_out == 0 then
    return { unpack(ARGV, at + first, at + last) }
  end
  local picked = {}
  for i = first, last do
    if holds[i] then
      picked[#picked + 1] = ARGV[at + i]
    end
  end
  return picked
end

-- The same of what comes as one text, a line for each.
local function lines(text, first)
  if n_out == 0 then
    return text
  end
  local picked, i = {}, first
  for line in string.gmatch(text .. "\n", "(.-)\n") do
    if holds[i] then
      picked[#picked + 1] = line
    end
    i = i + 1
  end
  return table.concat(picked, "\n")
end

local alone = #there == 0 and column(uids_at, 1, n_settled) or {}
for _, i in ipairs(loose) do
  if holds[i] then
    alone[#alone + 1] = ARGV[uids_at + i]
  end
end
if #alone > 0 and redis.call("HDEL", running, unpack(alone)) < #alone then
  local met = {}  -- where two speak of one claim, the earlier counts
  for i = 1, n_settled do
    local uid = type(holds[i]) == "string" and ARGV[uids_at + i]
    if uid and met[uid] then
      refuse(i)
    elseif uid then
      met[uid] = true
    end
  end
end
-- What is left of a pack: behind the last that ended it is one still; before that each is alone.
local ended, shorter, left_alone = {}, {}, {}
for _, pack in ipairs(there) do
  if pack.n_out > 0 then
    ended[#ended + 1] = pack.field
    n_packed = n_packed - pack.count
  end
  if pack.n_out > 0 and pack.n_out < pack.count then
    local rest, at = {}, pack.nth
    local function part()
      for r, uid in ipairs(rest) do
        left_alone[#left_alone + 1] = uid
        left_alone[#left_alone + 1] = pack.step .. ":" .. at + r - 1 .. "::" .. pack.from
      end
    end
    for uid, nth in claims_in(pack) do
      if pack.out[uid] then
        part()
        rest, at = {}, nth + 1
      else
        rest[#rest + 1] = uid
      end
    end
    if enough(#rest) then
      shorter[#shorter + 1] = pack.step .. ":" .. at .. ":" .. pack.from
      shorter[#shorter + 1] = #rest .. ":" .. table.concat(rest, " ")
      n_packed = n_packed + #rest
    else
      part()
    end
  end
end
if #ended > 0 then
  redis.call("HDEL", packs, unpack(ended))
end
if #shorter > 0 then
  redis.call("HSET", packs, unpack(shorter))
end
if #left_alone > 0 then
  hold_alone(left_alone)
end
if has_limits then
  with_limits.free(column(uids_at, 1, n_settled))
end
local asked_to_end = { uids = {} }
if stop then
  -- Who would go back to a queue, and was asked to end, is cancelled.
  local back = {}
  for i, origin in pairs(origins) do
    if holds[i] then
      back[#back + 1] = { uid = ARGV[uids_at + i], step = origin.step, i = i }
    end
  end
  table.sort(back, function(a, b) return a.i < b.i end)
  asked_to_end = divided(asks, back)
  for _, claim in ipairs(asked_to_end.claims) do
    holds[claim.i], n_out = false, n_out + 1
  end
  local uids = column(uids_at, 1, n_settled)
  for _, claim in ipairs(asked_to_end.claims) do
    uids[#uids + 1] = claim.uid
  end
  if #uids > 0 then
    redis.call("HDEL", asks, unpack(uids))
  end
end
for _, group in ipairs(groups) do
  local verb, first, last, columns, from = group.verb, group.first, group.last, {}, {}
  for field = 1, verb.fields do
    if verb.in_lines then
      columns[field] = lines(ARGV[group.at + field], first)
    else
      columns[field] = column(group.at + (field - 1) * (last - first + 1) - first + 1, first, last)
    end
  end
  for i = first, verb.returns and last or 0 do
    if holds[i] then
      from[#from + 1] = origins[i]
    end
  end
  local uids = column(uids_at, first, last)
  if #uids > 0 then
    verb.write(uids, from, unpack(columns))
  end
end
if #asked_to_end.uids > 0 then
  stop.write(asked_to_end.uids, nil, asked_to_end.keeps, asked_to_end.summaries)
  cancelled = asked_to_end.uids
end
