-- What a command is handed, or asked for, in pieces: unpack ends at 8,000 values.
local function put(command, key, list)
  for at = 1, #list, 4000 do
    redis.call(command, key, unpack(list, at, math.min(at + 3999, #list)))
  end
end
local function values_of(command, key, names)
  local values = redis.call(command, key, unpack(names, 1, math.min(4000, #names)))
  for at = 4001, #names, 4000 do
    for _, value in ipairs(redis.call(command, key, unpack(names, at, math.min(at + 3999, #names)))) do
      values[#values + 1] = value
    end
  end
  return values
end
