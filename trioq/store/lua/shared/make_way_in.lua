-- @use make_way
-- The same for a queue of these lists, whose length isn't known.
local function make_way_in(queue, ready, scheduled, dropped, now_ms)
  local length = redis.call("LLEN", ready) - redis.call("SCARD", dropped) + redis.call("ZCARD", scheduled)
  for _, lines in ipairs({ fair, limited }) do
    length = length + redis.call("ZLEXCOUNT", lines, range_of(queue))
  end
  make_way(queue, length, now_ms)
end
