-- What one job takes: of all limits that it asks, or of none.
-- @use limits_of
-- @use pieces
-- @use rates
local held_more, took_rows = {}, {}

-- The first limit that refuses; those who have waited go before those who are new.
local function refusing(asked, name, is_new)
  for _, limit in ipairs(asked) do
    if is_new and limit.waited_in[name] or is_full(limit) then
      return limit
    end
  end
  for _, limit in ipairs(asked) do
    if (limit.interval > 0 or limit.rests > 0) and wait_us(limit) > 0 then
      return limit
    end
  end
end

local function take(uid, asked)
  if asked[1] then
    took_rows[#took_rows + 1], took_rows[#took_rows + 2] = uid, asked.text
  end
  for _, limit in ipairs(asked) do
    limit.held = limit.held + 1
    if not limit.is_held_more then
      limit.is_held_more, held_more[#held_more + 1] = true, limit
    end
    if limit.interval > 0 then
      started(limit)
    end
  end
end

local function write_taken()
  local held = {}
  for _, limit in ipairs(held_more) do
    held[#held + 1], held[#held + 2] = limit.take, string.format("%d", limit.held)
  end
  put("HSET", took, took_rows)
  put("HSET", slots, held)
  write_times()
end

-- The limits that the rows of several jobs ask, in their order: many rows ask the same.
local asked_by = { [""] = {} }
local function all_asked(rows)
  local new, takes = {}, {}
  for i, row in ipairs(rows) do
    local lines = row and string.match(row, "\n.*") or ""
    if not asked_by[lines] then
      local asked = {}
      for take in string.gmatch(lines, "[^\n]+") do
        asked[#asked + 1], takes[#takes + 1] = take, take
      end
      asked_by[lines], new[#new + 1] = asked, asked
    end
    rows[i] = asked_by[lines]
  end
  know(takes)
  for _, asked in ipairs(new) do
    asked.text = table.concat(asked, "\n")
    for t, take in ipairs(asked) do
      asked[t] = limit_of[take]
    end
  end
  return rows
end
