-- The places where jobs lie that may start: lines, turns, suspects, and rooms with something to give.
-- @use pieces
-- @use rooms
-- @use sorting
-- @use taken
-- @use waiting
-- From the head of a list, up to so many. Returns of how many something was said.
local function from_line(key, length, limit, from)
  from.is_new = true
  from.refused = function(uid, refuses)
    enter(uid, refuses, from.queue)
  end
  if from.door then
    function from.met(uid, record)
      if record then
        came_through(from.door, uid)
      end
    end
  end
  local most, left = met + limit, 0
  while length > left and met < most and goes_on() do
    local popped = redis.call("RPOP", key, math.min(most - met, n_more())) or {}
    local sorted = sort_out(popped, from)
    left = left + sorted
    local back = {}
    for i = #popped, sorted + 1, -1 do
      back[#back + 1] = popped[i]
    end
    put("RPUSH", key, back)
    for i = 1, from.door and sorted or 0 do
      left_doors[#left_doors + 1] = popped[i]
    end
    if #popped == 0 then
      break
    end
  end
  return left
end

-- From the ready ones of a queue, each key in its turn.
local function from_turns(queue)
  local uids, tags = pop_turns(queue, n_more())
  local from = { queue = queue, is_new = true }
  function from.refused(uid, refuses)
    enter(uid, refuses, queue)
  end
  function from.met(_, record, i)
    if record then
      had_turn(queue, tags[i])
      claims.waits[n_claimed] = tags[i] and "f"
    end
  end
  local sorted, plain, keyed, keyed_tags = sort_out(uids, from), {}, {}, {}
  for i = #uids, sorted + 1, -1 do
    if tags[i] then
      keyed[#keyed + 1], keyed_tags[#keyed_tags + 1] = uids[i], tags[i]
    else
      plain[#plain + 1] = uids[i]
    end
  end
  put("RPUSH", queue.ready, plain)
  queue.n_ready, queue.has_left = queue.n_ready + #plain, queue.has_left or sorted > 0
  if #keyed > 0 then
    put_turns_back(queue, keyed, keyed_tags)
  end
end

-- The first suspect whom nothing refuses; the others stay where they are.
local function a_suspect(queue)
  local uids, is_met = redis.call("LRANGE", queue.suspects, -16, -1), false
  local from = { queue = queue, flag = "s", refused = function() end }
  function from.met(uid, record)
    is_met = true
    redis.call("LREM", queue.suspects, -1, uid)
    if record then
      table.insert(claims.suspects, uid)
    end
  end
  for i = #uids, 1, -1 do
    if is_met or not goes_on() or sort_out({ uids[i] }, from) == 0 then
      break
    end
  end
  if is_met then
    queue.n_suspects, suspects_moved = queue.n_suspects - 1, true
  end
  return is_met
end

-- Who waits for a take, the oldest first, as long as it has something to give.
local function from_room(queue, take)
  know({ take })
  local name, limit, left = queue.name, limit_of[take], {}
  local room = name .. "\0" .. take
  local first, last = in_room(name, take)
  local from = { queue = queue, room = limit }
  function from.refused(uid, refuses)
    left[#left + 1] = room .. "\0" .. uid
    enter(uid, refuses, queue)
  end
  function from.met(uid, record)
    left[#left + 1] = room .. "\0" .. uid
    if record then
      claims.waits[n_claimed] = "l"
    end
  end
  while goes_on() do
    if left_of(limit) < 1 then
      return close(limit, queue)
    end
    local uids = redis.call("ZRANGEBYLEX", limited, first, last, "LIMIT", 0, n_more())
    for i, member in ipairs(uids) do
      uids[i] = string.sub(member, #room + 2)
    end
    left = {}
    if #uids > 0 then
      sort_out(uids, from)
      put("ZREM", limited, left)
      queue.has_left = queue.has_left or #left > 0
    end
    if left_room(name, take) then
      queue.n_open, limit.waited_in[name] = queue.n_open - 1, nil
      return
    end
  end
end
