-- @use turns
-- Tags for jobs that become ready, in their order: each has uid, row, and the name of its queue. What
-- has no fair key stands in `others`.
local function tagged(becoming)
  local found = { members = {}, rows = {}, moved = {}, others = {}, keyed = {} }
  local fields, keyed, times = {}, {}, {}
  local function field(name)
    if not times[name] then
      times[name], fields[#fields + 1] = 0, name
    end
  end
  for _, job in ipairs(becoming) do
    local _, weight, key, rest = turn_in(job.row)
    if key then
      job.weight, job.key, job.rest = weight, key, rest
      keyed[#keyed + 1] = job
      field(job.queue)
      field(job.queue .. "\0" .. key)
    else
      table.insert(found.others, job.uid)
    end
  end
  if #keyed == 0 then
    return found
  end
  for i, time in ipairs(redis.call("HMGET", turns, unpack(fields))) do
    times[fields[i]] = tag_number(time or nil)
  end
  local moved = {}
  for _, job in ipairs(keyed) do
    local name = job.queue .. "\0" .. job.key
    local starts = math.max(times[job.queue], times[name])
    local tag = tag_text(starts)
    times[name], moved[name] = starts + turn_of(job.weight), true
    table.insert(found.members, "0")
    table.insert(found.members, job.queue .. "\0" .. tag .. "\0" .. job.uid)
    table.insert(found.rows, job.uid)
    table.insert(found.rows, tag .. " " .. job.weight .. " " .. job.key .. job.rest)
    table.insert(found.keyed, job)
  end
  for name in pairs(moved) do
    table.insert(found.moved, name)
    table.insert(found.moved, tag_text(times[name]))
  end
  return found
end
