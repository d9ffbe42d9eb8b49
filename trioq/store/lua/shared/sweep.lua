-- Forget how some jobs ended, the longest over first.
local function sweep(limit, now_ms)
  local until_ms = string.format("%d", now_ms)
  local over = redis.call("ZRANGEBYSCORE", results_due, "-inf", until_ms, "LIMIT", 0, limit)
  if #over > 0 then
    redis.call("HDEL", results, unpack(over))
    redis.call("ZREM", results_due, unpack(over))
  end
end
