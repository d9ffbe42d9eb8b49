-- lift: what was paused until a time that has come isn't any more.
for _, what in ipairs(lifted) do
  redis.call("SREM", paused, what)
  redis.call("HDEL", pauses, what)
  local kind = string.sub(what, 1, 1)
  parked_changed = parked_changed or kind == "@"
  suspects_moved = suspects_moved or kind == "="  -- what one was refused may be there
end
