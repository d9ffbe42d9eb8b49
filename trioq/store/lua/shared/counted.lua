-- A count as it lies in a hash; what somebody else wrote there is none.
local function counted_in(key, field)
  return string.match(redis.call("HGET", key, field) or "", "^%d%d?%d?%d?%d?%d?%d?%d?%d?$") or "0"
end
