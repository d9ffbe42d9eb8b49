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
local i = 0
for r = runs_at + 1, runs_at + 2 * n_runs, 2 do
  local claim = ARGV[r] .. ":"
  for _ = 1, ARGV[r + 1] do
    i = i + 1
    if not holds[i] or string.find(holds[i], claim, 1, true) ~= 1 then
      refuse(i)
    end
  end
end
local origins = {}
for _, group in ipairs(groups) do
  for i = group.first, group.verb.returns and group.last or 0 do
    local step, nth, flag, from = string.match(holds[i] or "", "^(%d+):(%d+):(s?):(.*)$")
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

local uids = column(uids_at, 1, n_settled)
if #uids > 0 and redis.call("HDEL", running, unpack(uids)) < #uids then
  local met = {}  -- where two speak of one claim, the earlier counts
  for i = 1, n_settled do
    local uid = ARGV[uids_at + i]
    if holds[i] and met[uid] then
      refuse(i)
    elseif holds[i] then
      met[uid] = true
    end
  end
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
