-- When the rate of a take admits one more start, and until when it rests: both are its times, in `tats`.
-- @use pieces
local timed = {}  -- the limits whose times this step has moved
local function moved(limit, tat)
  limit.tat = tat
  if not limit.is_timed then
    limit.is_timed, timed[#timed + 1] = true, limit
  end
end

-- How long until its rest is over and the rate admits one more start; 0: now. A clock that went back
-- leaves a time of the rate too far ahead: written bounded, so that it heals.
local function wait_us(limit)
  local rest = math.max(0, limit.rests - now_us)
  if limit.interval == 0 then
    return rest
  end
  local room = limit.burst * limit.interval
  if limit.tat > now_us + room then
    moved(limit, now_us + room)
  end
  return math.max(rest, math.max(limit.tat, now_us) + limit.interval - room - now_us)
end

-- How many may start now.
local function starts_of(limit)
  if wait_us(limit) > 0 then
    return 0
  end
  local interval, ahead = limit.interval, math.max(0, limit.tat - now_us)
  return interval == 0 and math.huge or math.floor((limit.burst * interval - ahead) / interval)
end

-- Times that are over say nothing any more: some go with those that are written.
local function forget_times(n_written)
  if n_written > 0 then
    local until_us, most = string.format("%d", now_us), 16 + 2 * n_written
    put("ZREM", tats, redis.call("ZRANGEBYSCORE", tats, "-inf", until_us, "LIMIT", 0, most))
  end
end

-- Of these takes nobody starts for so long; longer, if that was said before.
local function rest(takes, ms)
  local n_rests = 0
  for i, take in ipairs(takes) do
    if take ~= "" then
      local until_us = string.format("%d", now_us + tonumber(ms[i]) * 1000)
      n_rests = n_rests + 1
      redis.call("ZADD", tats, "GT", until_us, "\0" .. take)
    end
  end
  forget_times(n_rests)
end

local function write_times()
  local times = {}
  for _, limit in ipairs(timed) do
    times[#times + 1], times[#times + 2] = string.format("%d", limit.tat), limit.take
  end
  put("ZADD", tats, times)
  forget_times(#timed)
end
