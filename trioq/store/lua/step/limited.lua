-- limited: what a step does beside, where jobs take of limits: all or none, so that who waits for one
-- holds nothing. Who is refused lies in the room of the first take that refused it.
-- @use free
-- @use limits_of
-- @use open_rooms
-- @use places
-- @use rates
-- @use taken
-- @use waiting
now()
with_limits.rest, with_limits.promote, with_limits.look = rest, open_due, look_for_open
with_limits.next_due = next_permit

-- What was taken is there for others.
local freed, waited_in = {}, {}
function with_limits.free(uids)
  freed, waited_in = free(uids)
  suspects_moved = suspects_moved or #freed > 0  -- what one was refused may be free
end

-- What was paused until now may be taken again.
function with_limits.resume()
  for _, what in ipairs(lifted) do
    local resumed = string.match(what, "^=(.*)$")
    if resumed then
      freed[#freed + 1], waited_in[#freed + 1] = resumed, open_rooms({ resumed })[1]
    end
  end
end

function with_limits.wait_in(name)
  return redis.call("ZLEXCOUNT", limited, range_of(name)) > 0
end

-- Who of other queues should hear of what is free.
function with_limits.wake()
  local names = {}
  for _, name in ipairs(waiting_for(freed, waited_in)) do
    names[#names + 1] = not queue_of(name) and name or nil
  end
  return names
end

function with_limits.claim()
  local may_take_suspect = suspect == "1"
  for q = 1, n_queues do
    local queue = queues[q]
    if queue and not is_paused[queue.name] then
      if may_take_suspect and queue.n_suspects > 0 and goes_on() then
        may_take_suspect = not a_suspect(queue)
      end
      for _, door in ipairs(queue.doors) do
        local left = from_line(door.key, door.length, door.limit, { queue = queue, door = door })
        door.length, door.left = door.length - left, left > 0
      end
      for _, take in ipairs(queue.open or {}) do
        from_room(queue, take)
      end
      while queue.n_keyed > 0 and goes_on() do
        from_turns(queue)
      end
      local left = from_line(queue.ready, queue.n_ready, want, { queue = queue })
      queue.n_ready, queue.has_left = queue.n_ready - left, queue.has_left or left > 0
    end
  end
  write_taken()
end
