-- A client numbers its writes: one that isn't larger than the last was executed before.
-- The sender's key outlives every copy of a request that could still be under way.
local function sent_before(sender, number)
  local last = redis.call("GET", sender)
  if last and tonumber(number) <= tonumber(string.match(last, "^%d+")) then
    return last
  end
end
local function remember(sender, number, answer)
  redis.call("SET", sender, number .. " " .. answer, "PX", 3600000)
end
