-- @use turns
local function spare_turn(value)
  local ends, starts = string.match(value or "", "^(%x+)%-(%x+)$")
  return ends and tonumber(ends, 16), starts and tonumber(starts, 16)
end
-- Jobs that waited for their turns are over: what their keys are given next comes as if there had never
-- been these. Each has its queue's name, and its row. A turn before that of another of its key, which waits
-- and keeps its tag, is spare until that one is over too: it is noted at both its ends, as one with
-- those that it touches.
local function turns_back(over)
  local keyed, fields, noted, touched = {}, {}, {}, {}
  for _, job in ipairs(over) do
    local tag, weight, key = turn_in(job.row)
    if key and tag ~= "" then
      local of, starts = job.queue .. "\0" .. key, tag_number(tag)
      local turn = { of = of, starts = starts, ends = starts + turn_of(weight) }
      turn.first, turn.last = of .. "\0" .. tag, of .. "\0" .. tag_text(turn.ends)
      keyed[#keyed + 1] = turn
      for _, field in ipairs({ of, turn.first, turn.last }) do
        fields[#fields + 1] = field
      end
    end
  end
  if #keyed == 0 then
    return
  end
  for i, value in ipairs(redis.call("HMGET", turns, unpack(fields))) do
    noted[fields[i]] = value or nil
  end
  local function note(field, value)
    noted[field], touched[field] = value, true
  end
  for _, turn in ipairs(keyed) do
    local of, starts, ends = turn.of, turn.starts, turn.ends
    local through = noted[of] and tag_number(noted[of])
    if through then
      local ends_before, before = spare_turn(noted[turn.first])
      if ends_before == starts then
        starts = before
        note(turn.first, nil)
      end
      local after, starts_after = spare_turn(noted[turn.last])
      if starts_after == ends then
        ends = after
        note(turn.last, nil)
      end
      local first, last = of .. "\0" .. tag_text(starts), of .. "\0" .. tag_text(ends)
      if ends == through then
        note(of, tag_text(starts))
        note(first, nil)
        note(last, nil)
      else
        note(first, tag_text(ends) .. "-" .. tag_text(starts))
        note(last, noted[first])
      end
    end
  end
  local moved, gone = {}, {}
  for field in pairs(touched) do
    if noted[field] then
      moved[#moved + 1], moved[#moved + 2] = field, noted[field]
    else
      gone[#gone + 1] = field
    end
  end
  if #moved > 0 then
    redis.call("HSET", turns, unpack(moved))
  end
  if #gone > 0 then
    redis.call("HDEL", turns, unpack(gone))
  end
end
