-- @use open_rooms
-- @use pieces
-- These claims are over: what they took of limits is there for others, and the rooms are open in
-- which somebody waits for it. Returns the takes, and of each in which queues that is.
local function free(uids)
  local freed, fewer, gone, n_gone, rows, alike = {}, {}, {}, 0, {}, {}
  local took_of = #uids > 0 and values_of("HMGET", took, uids) or {}
  for i = 1, #took_of do
    local row = took_of[i]
    if row then
      n_gone = n_gone + 1
      gone[n_gone] = uids[i]
      if not alike[row] then
        rows[#rows + 1], alike[row] = row, 0
      end
      alike[row] = alike[row] + 1
    end
  end
  for _, row in ipairs(rows) do
    for take in string.gmatch(row, "[^\n]+") do
      if not fewer[take] then
        freed[#freed + 1], fewer[take] = take, 0
      end
      fewer[take] = fewer[take] + alike[row]
    end
  end
  if #freed == 0 then
    return freed, {}
  end
  put("HDEL", took, gone)
  local held, unheld = {}, {}
  for t, count in ipairs(values_of("HMGET", slots, freed)) do
    local left = (tonumber(count or "") or 0) - fewer[freed[t]]
    if left > 0 then
      held[#held + 1], held[#held + 2] = freed[t], string.format("%d", left)
    else
      unheld[#unheld + 1] = freed[t]
    end
  end
  put("HSET", slots, held)
  put("HDEL", slots, unheld)
  return freed, open_rooms(freed)
end
