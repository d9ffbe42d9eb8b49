-- A bell holds at most one token: it says that something may be claimable, not how much. One that
-- isn't ours nobody can hear: then the engines' polls have to do.
local function ring(bell)
  if redis.pcall("LLEN", bell) == 0 then
    redis.call("LPUSH", bell, "1")
  end
end
