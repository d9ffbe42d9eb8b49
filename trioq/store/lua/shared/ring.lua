-- A bell holds at most one token: it says that something may be claimable, not how much.
local function ring(bell)
  if redis.call("LLEN", bell) == 0 then
    redis.call("LPUSH", bell, "1")
  end
end
