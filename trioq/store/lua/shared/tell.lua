-- Tell whoever waits for the end of one of these jobs, as `ends` has them: a hint, which may be
-- missed. Returns for each whether somebody waited, who is forgotten with that.
local function tell(uids, ends, values)
  local waited, gone = {}, {}
  if redis.call("HLEN", waits) == 0 then
    return waited
  end
  local channel = string.sub(waits, 1, -6) .. "ends:"
  for i, clients in ipairs(redis.call("HMGET", waits, unpack(uids))) do
    waited[i] = clients ~= false
    if clients then
      gone[#gone + 1] = uids[i]
      local value = values and values[i] or ""
      local said = uids[i] .. " " .. (#value > 1024 and "later" or ends[i] .. " " .. value)
      for client in string.gmatch(clients, "[^ ]+") do
        local to = channel .. client
        redis.pcall("PUBLISH", to, said)
      end
    end
  end
  if #gone > 0 then
    redis.call("HDEL", waits, unpack(gone))
  end
  return waited
end
