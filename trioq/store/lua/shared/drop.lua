-- Drop fields from a hash that is mostly empty.
local function drop(key, fields)
  if redis.call("HLEN", key) > 0 then
    redis.call("HDEL", key, unpack(fields))
  end
end
