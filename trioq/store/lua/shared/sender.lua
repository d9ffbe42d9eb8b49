-- A client numbers its writes and sends one at a time. The last number again is answered as it
-- was; a smaller one is a late copy, and nobody waits for its answer any more.
-- The sender's key outlives every copy of a request that could still be under way, unless the
-- server's clock jumps: the second value says that nothing is known of this sender.
local function sent_before(sender, number)
  local last, answer = string.match(redis.call("GET", sender) or "", "^(%d+) (.*)$")
  if not last or tonumber(number) > tonumber(last) then
    return nil, not last
  elseif number == last then
    return { "again", answer }
  end
  return { "old" }
end
local function remember(sender, number, answer)
  redis.call("SET", sender, number .. " " .. answer, "PX", 3600000)
end
