-- @use pieces
-- What boots say of a thing is kept in the order in which that began, a line each: what, since when, and
-- since when no boot that lives says it, or -. The last holds, until no boot that lives has said it for a
-- minute, or one is started with what is older; that is known for an hour, and eight at most.
local GRACE, KEPT_MS, KEPT = 60000, 3600000, 8
-- What boots that live have said last, by boot; and those that don't live any more.
local function said_last(key)
  local told, boots, said, gone = redis.call("HGETALL", key), {}, {}, {}
  for b = 1, #told, 2 do
    boots[#boots + 1], said[told[b]] = told[b], told[b + 1]
  end
  for b, last in ipairs(#boots > 0 and values_of("HMGET", steps, boots) or {}) do
    if not last then
      gone[#gone + 1], said[boots[b]] = boots[b], nil
    end
  end
  return said, gone
end
local function is_over(each, after, now_ms)
  return each.gone and now_ms - each.gone >= after
end
local function declarations_in(text)
  local known = {}
  for what, since, gone in string.gmatch(text, "([^ \n]+) ([^ \n]+) ([^ \n]+)") do
    known[#known + 1] = { what = what, since = since, gone = tonumber(gone) }
  end
  return known
end
-- A boot says what it has, if it has such a thing; alive is what boots that live say, itself among them.
local function declare(known, alive, mine, is_new, now_ms)
  local is_known = not mine
  for _, each in ipairs(known) do
    is_known = is_known or each.what == mine
  end
  if not is_known then
    known[#known + 1] = { what = mine, since = string.format("%d", now_ms) }
  end
  for _, each in ipairs(known) do
    each.gone = not alive[each.what] and math.min(each.gone or now_ms, now_ms) or nil
  end
  -- Who is started with another one says more than who may come back.
  if #known > 0 and is_over(known[#known], is_new and mine and 0 or GRACE, now_ms) then
    while #known > 0 and known[#known].gone do
      known[#known] = nil
    end
  end
end
-- As they are kept, without those that are old.
local function lines_of(known, now_ms)
  local lines = {}
  for nth, each in ipairs(known) do
    if nth == #known or not each.gone or (nth > #known - KEPT and not is_over(each, KEPT_MS, now_ms)) then
      lines[#lines + 1] = string.format("%s %s %s", each.what, each.since,
                                        each.gone and string.format("%d", each.gone) or "-")
    end
  end
  return table.concat(lines, "\n")
end
