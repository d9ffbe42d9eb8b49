-- @use bump
-- @use ring
-- Somebody wants this claim to end: its boot, step, asks and bell. The first ask stays, unless it is a
-- quiet one, of which nobody is told: as the 0th. What is only asked quietly may run to its end.
local function ask(claim, uid, keep_ms, summary, quietly)
  local before = redis.call("HGET", claim.asks, uid)
  if not before or not quietly and string.match(before, "^0:") then
    local nth = bump(asked, claim.boot, 1)
    nth = quietly and 0 or nth
    redis.call("HSET", claim.asks, uid, string.format("%d:%s:%s:%s", nth, claim.step, keep_ms, summary))
  end
  if not quietly then
    ring(claim.bell)
  end
end
