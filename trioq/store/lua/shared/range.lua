-- Where all queues lie in one ordered set, a member begins with its queue and NUL: the range of a queue's.
local function range_of(name)
  return "[" .. name .. "\0", "(" .. name .. "\1"
end
