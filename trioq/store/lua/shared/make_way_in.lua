-- @use make_way
-- The same for a queue of these lists, whose length isn't known.
local function make_way_in(queue, ready, scheduled, dropped, now_ms)
  local length = redis.call("LLEN", ready) - redis.call("SCARD", dropped) + redis.call("ZCARD", scheduled)
  local in_turn = redis.call("ZLEXCOUNT", fair, "[" .. queue .. "\0", "(" .. queue .. "\1")
  make_way(queue, length + in_turn, now_ms)
end
