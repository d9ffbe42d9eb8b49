-- @use pieces
-- Of each take, as far as somebody has asked: its limit's settings, how many hold it, when its rate
-- admits the next start, until when it rests, and the queues in which somebody waits for it. One value
-- of a key may have settings of its own. Whose limit nobody knows limits nothing.
local limit_of = {}
local function know(takes)
  local new, named, own, timed = {}, {}, {}, {}
  for _, take in ipairs(takes) do
    if not limit_of[take] then
      limit_of[take] = { take = take }
      new[#new + 1], named[#named + 1] = take, string.match(take, "^[^:]*")
      timed[2 * #new - 1], timed[2 * #new] = take, "\0" .. take
    end
  end
  if #new == 0 then
    return
  end
  for t, take in ipairs(new) do
    if named[t] ~= take then
      named[#named + 1], own[t] = take, #named + 1
    end
  end
  local settings, counts = values_of("HMGET", limits, named), values_of("HMGET", slots, new)
  local times, waited_in = values_of("ZMSCORE", tats, timed), values_of("HMGET", rooms, new)
  for t, take in ipairs(new) do
    local limit = limit_of[take]
    local told = own[t] and settings[own[t]] or settings[t] or ""
    local interval, burst, most = string.match(told, "^%d+:(%d+):(%d+):(%d+)")
    limit.interval, limit.burst = tonumber(interval or 0), tonumber(burst or 0)
    limit.most, limit.held = tonumber(most or 0), tonumber(counts[t] or 0) or 0
    limit.tat, limit.waited_in = tonumber(times[2 * t - 1] or 0) or 0, {}
    limit.rests = tonumber(times[2 * t] or 0) or 0
    if string.byte(take) == 64 then  -- an @: trioq's own has one slot of each value
      limit.interval, limit.most = 0, 1
    end
    for name in string.gmatch(waited_in[t] or "", "[^\n]+") do
      limit.waited_in[name] = true
    end
  end
end
local function is_full(limit)
  return limit.most > 0 and limit.held >= limit.most
end
-- The queues in which somebody waits for one of these that has something to give.
local function waiting_for(freed, waited_in)
  local takes, names, met = {}, {}, {}
  for t, take in ipairs(freed) do
    takes[#takes + 1] = waited_in[t] and take or nil
  end
  know(takes)
  for t, take in ipairs(freed) do
    local there = waited_in[t] and not is_full(limit_of[take]) and waited_in[t] or ""
    for name in string.gmatch(there, "[^\n]+") do
      if not met[name] then
        names[#names + 1], met[name] = name, true
      end
    end
  end
  return names
end
