-- @use pieces
-- Somebody should look whom limits may admit that have changed, or takes: their rooms are open.
-- Returns the queues in which somebody waits there.
local function open_changed(is_changed)
  local names, met, members, waited_for = {}, {}, {}, redis.call("HGETALL", rooms)
  for r = 1, #waited_for, 2 do
    local take = waited_for[r]
    local may_admit = is_changed[take] or is_changed[string.match(take, "^[^:]*")]
    for name in string.gmatch(may_admit and waited_for[r + 1] or "", "[^\n]+") do
      members[#members + 1], members[#members + 2] = 0, name .. "\0" .. take
      if not met[name] then
        names[#names + 1], met[name] = name, true
      end
    end
  end
  put("ZADD", open, members)
  return names
end
