-- limited: what a step does beside, where jobs take of limits: all or none, so that who waits for one
-- holds nothing. Who is refused lies in the room of the first take that refused it.
-- @use free
-- @use limits_of
-- @use rooms
now()

-- Times that are over say nothing any more: some go with those that are written.
local function forget_times(n_written)
  if n_written > 0 then
    local until_us, most = string.format("%d", now_us), 16 + 2 * n_written
    put("ZREM", tats, redis.call("ZRANGEBYSCORE", tats, "-inf", until_us, "LIMIT", 0, most))
  end
end

-- Of these takes nobody starts for so long; longer, if that was said before.
function with_limits.rest(takes, ms)
  local n_rests = 0
  for i, take in ipairs(takes) do
    if take ~= "" then
      local until_us = string.format("%d", now_us + tonumber(ms[i]) * 1000)
      n_rests = n_rests + 1
      redis.call("ZADD", tats, "GT", until_us, "\0" .. take)
    end
  end
  forget_times(n_rests)
end

-- What was taken is there for others ------------------------------------------------------------
local freed, waited_in = {}, {}
function with_limits.free(uids)
  freed, waited_in = free(uids)
  suspects_moved = suspects_moved or #freed > 0  -- what one was refused may be free
end

function with_limits.wait_in(name)
  return redis.call("ZLEXCOUNT", limited, range_of(name)) > 0
end

-- Rooms whose permit has come are open ----------------------------------------------------------
function with_limits.promote()
  local until_now, opened = string.format("%d", now_ms), {}
  local due = redis.call("ZRANGEBYSCORE", permits, "-inf", until_now, "LIMIT", 0, 256)
  for i, room in ipairs(due) do
    opened[2 * i - 1], opened[2 * i] = "0", room
  end
  put("ZADD", open, opened)
  put("ZREM", permits, due)
end

-- The open rooms of each queue: what is waited for there.
function with_limits.look()
  if redis.call("ZCARD", open) == 0 then
    return
  end
  for q = 1, n_queues do
    local name = ARGV[names_at + q]
    local first, last = range_of(name)
    local found = not is_paused[name] and redis.call("ZRANGEBYLEX", open, first, last, "LIMIT", 0, 128) or {}
    for i, room in ipairs(found) do
      found[i] = string.sub(room, #name + 2)
    end
    if found[1] then
      queue_at(q).open, queue_at(q).n_open = found, #found
    end
  end
end

-- When the next permit comes that somebody waits for in these queues, as far as is looked; ms.
function with_limits.next_due()
  local found = redis.call("ZRANGE", permits, 0, 15, "WITHSCORES")
  for i = 1, #found, 2 do
    if queue_of(string.match(found[i], "^[^%z]*")) then
      return found[i + 1]
    end
  end
  return found[32]
end

-- Who of other queues should hear of what is free.
function with_limits.wake()
  local names = {}
  for _, name in ipairs(waiting_for(freed, waited_in)) do
    names[#names + 1] = not queue_of(name) and name or nil
  end
  return names
end

-- One job ---------------------------------------------------------------------------------------
local met, looks, bytes, is_over = 0, 0, 0, false
local looks_max = 2 * want + 64
local function goes_on()
  return not is_over and met < want and looks < looks_max
end
-- How long until its rest is over and the rate admits one more start; 0: now. A clock that went back
-- leaves a time of the rate too far ahead: written bounded, so that it heals.
local changed, timed = {}, {}
local function note(limit, list, as)
  if not limit[as] then
    limit[as], list[#list + 1] = true, limit
  end
end
local function wait_us(limit)
  local rest = math.max(0, limit.rests - now_us)
  if limit.interval == 0 then
    return rest
  end
  local room = limit.burst * limit.interval
  if limit.tat > now_us + room then
    limit.tat = now_us + room
    note(limit, timed, "is_timed")
  end
  return math.max(rest, math.max(limit.tat, now_us) + limit.interval - room - now_us)
end
local function await_permit(limit, queue)
  local wait, room = wait_us(limit), queue.name .. "\0" .. limit.take
  if wait > 0 then
    redis.call("ZADD", permits, string.format("%d", math.ceil((now_us + wait) / 1000)), room)
  else
    queue.n_open = queue.n_open + redis.call("ZADD", open, 0, room)
  end
end
-- The first limit that refuses; those who have waited go before those who are new.
local function refusing(asked, name, is_new)
  for _, limit in ipairs(asked) do
    if is_new and limit.waited_in[name] or is_full(limit) then
      return limit
    end
  end
  for _, limit in ipairs(asked) do
    if (limit.interval > 0 or limit.rests > 0) and wait_us(limit) > 0 then
      return limit
    end
  end
end
local took_rows, n_rated = {}, 0
local function start(uid, asked)
  if asked[1] then
    took_rows[#took_rows + 1], took_rows[#took_rows + 2] = uid, asked.text
  end
  for _, limit in ipairs(asked) do
    limit.held = limit.held + 1
    note(limit, changed, "is_changed")
    if limit.interval > 0 then
      limit.tat, n_rated = math.max(limit.tat, now_us) + limit.interval, n_rated + 1
      note(limit, timed, "is_timed")
    end
  end
end
local function enter(uid, limit, queue)
  local name = queue.name
  redis.call("ZADD", limited, 0, name .. "\0" .. limit.take .. "\0" .. uid)
  if not limit.waited_in[name] then
    local lines = redis.call("HGET", rooms, limit.take)
    redis.call("HSET", rooms, limit.take, lines and lines .. "\n" .. name or name)
    limit.waited_in[name] = true
  end
  if not is_full(limit) then
    await_permit(limit, queue)
  end
end

-- The limits that the rows of several jobs ask, in their order: many rows ask the same.
local asked_by = { [""] = {} }
local function all_asked(rows)
  local new, takes = {}, {}
  for i, row in ipairs(rows) do
    local lines = row and string.match(row, "\n.*") or ""
    if not asked_by[lines] then
      local asked = {}
      for take in string.gmatch(lines, "[^\n]+") do
        asked[#asked + 1], takes[#takes + 1] = take, take
      end
      asked_by[lines], new[#new + 1] = asked, asked
    end
    rows[i] = asked_by[lines]
  end
  know(takes)
  for _, asked in ipairs(new) do
    asked.text = table.concat(asked, "\n")
    for t, take in ipairs(asked) do
      asked[t] = limit_of[take]
    end
  end
  return rows
end

-- Several, in their order: each is claimed, passed over or refused, until there is enough. `from`: where
-- they lie. Returns of how many that was said.
local function sort_out(uids, from)
  local name, records = from.queue.name, redis.call("HMGET", jobs, unpack(uids))
  local asked_of = all_asked(redis.call("HMGET", flow, unpack(uids)))
  local before, sorted = n_claimed, 0
  for i, uid in ipairs(uids) do
    local record, asked = records[i], asked_of[i]
    if not goes_on() or from.is_shut and from.is_shut() then
      break
    end
    local refuses = record and refusing(asked, name, from.is_new)
    if record and not refuses and n_claimed > 0 and bytes + #record > max_bytes then
      is_over = true
      break
    end
    looks, sorted = looks + 1, sorted + 1
    if refuses then
      from.refused(uid, refuses)
    else
      met = met + 1
      if record then
        bytes, n_claimed = bytes + #record, n_claimed + 1
        claims.uids[n_claimed] = uid
        claims.records[n_claimed] = #record > RECORD_MAX and string.sub(record, 1, RECORD_MAX) or record
        start(uid, asked)
      else
        pass_over(uid, from.queue, from.door)
      end
      if from.met then
        from.met(uid, record, i)
      end
    end
  end
  if n_claimed > before then
    lots[#lots + 1] = { last = n_claimed, queue = from.queue, flag = from.flag or "" }
  end
  return sorted
end

-- Where they lie --------------------------------------------------------------------------------
-- From the head of a list, up to so many.
local function from_line(key, length, limit, from)
  from.is_new = true
  from.refused = function(uid, refuses)
    enter(uid, refuses, from.queue)
  end
  local most, left = met + limit, 0
  while length > left and met < most and goes_on() do
    local popped = redis.call("RPOP", key, math.min(most - met, want - met, looks_max - looks)) or {}
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
  local uids, tags = pop_turns(queue, math.min(want - met, looks_max - looks))
  local from = { queue = queue, is_new = true }
  function from.refused(uid, refuses)
    enter(uid, refuses, queue)
  end
  function from.met(_, record, i)
    if record then
      had_turn(queue, tags[i])
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
    if is_met or sort_out({ uids[i] }, from) == 0 then
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
  local function is_shut()
    return is_full(limit) or wait_us(limit) > 0
  end
  local from = { queue = queue, is_shut = is_shut }
  function from.refused(uid, refuses)
    left[#left + 1] = room .. "\0" .. uid
    enter(uid, refuses, queue)
  end
  function from.met(uid)
    left[#left + 1] = room .. "\0" .. uid
  end
  while goes_on() do
    if is_shut() then
      redis.call("ZREM", open, room)
      queue.n_open = queue.n_open - 1
      if not is_full(limit) then
        await_permit(limit, queue)
      end
      return
    end
    local most = math.min(want - met, looks_max - looks)
    local uids = redis.call("ZRANGEBYLEX", limited, first, last, "LIMIT", 0, most)
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
  local held, times = {}, {}
  for _, limit in ipairs(changed) do
    held[#held + 1], held[#held + 2] = limit.take, string.format("%d", limit.held)
  end
  for _, limit in ipairs(timed) do
    times[#times + 1], times[#times + 2] = string.format("%d", limit.tat), limit.take
  end
  put("HSET", took, took_rows)
  put("HSET", slots, held)
  put("ZADD", tats, times)
  forget_times(n_rated)
end
