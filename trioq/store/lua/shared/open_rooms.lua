-- @use pieces
-- These takes may have something to give: open are the rooms in which somebody waits for one. Returns
-- of each in which queues that is, a line each.
local function open_rooms(takes)
  local opened, waited_in = {}, values_of("HMGET", rooms, takes)
  for t, names in ipairs(waited_in) do
    for name in string.gmatch(names or "", "[^\n]+") do
      opened[#opened + 1], opened[#opened + 2] = "0", name .. "\0" .. takes[t]
    end
  end
  put("ZADD", open, opened)
  return waited_in
end
