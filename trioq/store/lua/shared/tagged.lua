-- @use turns
-- Tags for jobs that become ready, in their order: each has uid, row, and the name of its queue. What
-- has no fair key stands in `others`. What those have in common whose rows are alike is worked out once.
local function tagged(becoming)
  local found = { members = {}, rows = {}, moved = {}, others = {}, n_keyed = 0 }
  local members, rows, others, kinds, fields, times = found.members, found.rows, found.others, {}, {}, {}
  local function field(name)
    if not times[name] then
      times[name], fields[#fields + 1] = 0, name
    end
  end
  local function kind_of(queue, row)
    local _, weight, key, rest = turn_in(row)
    if not key then
      return false
    end
    local kind = { queue = queue, of = queue .. "\0" .. key, before = queue .. "\0", turn = turn_of(weight),
                   row = " " .. weight .. " " .. key .. rest }
    field(queue)
    field(kind.of)
    return kind
  end
  for i, job in ipairs(becoming) do
    local of_queue, row = kinds[job.queue], job.row or ""
    if not of_queue then
      of_queue = {}
      kinds[job.queue] = of_queue
    end
    if of_queue[row] == nil then
      of_queue[row] = kind_of(job.queue, row)
    end
    job.kind = of_queue[row]
  end
  if #fields > 0 then
    for i, time in ipairs(redis.call("HMGET", turns, unpack(fields))) do
      times[fields[i]] = tag_number(time or nil)
    end
  end
  local moved, texts = {}, {}
  for _, job in ipairs(becoming) do
    local kind, uid = job.kind, job.uid
    if not kind then
      others[#others + 1] = uid
    else
      local starts = math.max(times[kind.queue], times[kind.of])
      local tag, n = texts[starts] or tag_text(starts), 2 * found.n_keyed
      texts[starts] = tag
      times[kind.of], moved[kind.of] = starts + kind.turn, true
      members[n + 1], members[n + 2] = "0", kind.before .. tag .. "\0" .. uid
      rows[n + 1], rows[n + 2] = uid, tag .. kind.row
      found.n_keyed = found.n_keyed + 1
    end
  end
  for of in pairs(moved) do
    table.insert(found.moved, of)
    table.insert(found.moved, texts[times[of]] or tag_text(times[of]))
  end
  return found
end
