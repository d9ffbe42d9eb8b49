-- Something of this queue waits again: its name may have been forgotten while it ran.
local is_named = {}
local function waits_in(queue)
  if not is_named[queue] then
    is_named[queue] = true
    redis.call("SADD", named, queue.name)
  end
end
