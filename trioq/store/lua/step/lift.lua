-- lift: what was paused until a time that has come isn't any more.
for _, what in ipairs(lifted) do
  redis.call("SREM", paused, what)
  redis.call("HDEL", pauses, what)
  parked_changed = parked_changed or string.sub(what, 1, 1) == "@"
end
