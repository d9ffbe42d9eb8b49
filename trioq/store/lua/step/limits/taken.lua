-- What one job takes: of all limits that it asks, or of none. `left` of a limit: how many more may start.
-- @use limits_of
-- @use pieces
-- @use rates
-- @use shut
local taken = {}

-- What is shut has no need of its clock, which is healed by who looks.
local function left_of(limit)
  if not limit.left then
    local slots_left = limit.most > 0 and limit.most - limit.held or math.huge
    limit.left = is_shut(limit) and 0 or math.min(slots_left, starts_of(limit))
  end
  return limit.left
end

-- How many that ask the same may start in a row; those who have waited go before those who are new.
local function fitting(asked, name, is_new)
  local left = math.huge
  for t = 1, #asked do
    if is_new and asked[t].waited_in[name] or is_shut(asked[t]) then
      return 0
    end
  end
  for t = 1, #asked do
    left = math.min(left, left_of(asked[t]))
    if left < 1 then
      return 0
    end
  end
  return left
end
-- Where none may: the first limit that refuses.
local function refusing(asked, name, is_new)
  for _, limit in ipairs(asked) do
    if is_new and limit.waited_in[name] or is_shut(limit) then
      return limit
    end
  end
  for _, limit in ipairs(asked) do
    if left_of(limit) < 1 then
      return limit
    end
  end
end

-- So many start that ask this.
local function take(asked, count)
  for t = 1, count > 0 and #asked or 0 do
    local limit = asked[t]
    limit.left, limit.held = limit.left - count, limit.held + count
    if limit.interval > 0 then
      moved(limit, math.max(limit.tat, now_us) + count * limit.interval)
    end
    if not limit.is_taken then
      limit.is_taken, taken[#taken + 1] = true, limit
    end
  end
end

local function write_taken()
  local held, rows, n = {}, {}, 0
  for i, uid in ipairs(claims.uids) do
    if claims.takes[i] then
      rows[n + 1], rows[n + 2], n = uid, claims.takes[i], n + 2
    end
  end
  for t, limit in ipairs(taken) do
    held[2 * t - 1], held[2 * t] = limit.take, string.format("%d", limit.held)
  end
  put("HSET", took, rows)
  put("HSET", slots, held)
  write_times()
end

-- The limits that the rows of several jobs ask, in their order: many rows ask the same.
local asked_by = { [""] = { text = false } }
local function all_asked(rows)
  local new, takes = {}, {}
  for i = 1, #rows do
    local row = rows[i]
    local at = row and string.find(row, "\n", 1, true)
    local lines = at and string.sub(row, at + 1) or ""
    local asked = asked_by[lines]
    if not asked then
      asked = { text = lines }
      for take in string.gmatch(lines, "[^\n]+") do
        asked[#asked + 1], takes[#takes + 1] = take, take
      end
      asked_by[lines], new[#new + 1] = asked, asked
    end
    rows[i] = asked
  end
  know(takes)
  for _, asked in ipairs(new) do
    for t, take in ipairs(asked) do
      asked[t] = limit_of[take]
    end
  end
  return rows
end
