-- Who is refused waits in a room: that of the queue and of the first take that refused it. A room is
-- open while its take may have something to give; until then `permits` says when a permit comes.
-- @use rates
-- @use shut
local function await_permit(limit, queue)
  local wait, room = wait_us(limit), queue.name .. "\0" .. limit.take
  if wait > 0 then
    redis.call("ZADD", permits, string.format("%d", math.ceil((now_us + wait) / 1000)), room)
  else
    queue.n_open = queue.n_open + redis.call("ZADD", open, 0, room)
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
  if not is_shut(limit) then
    await_permit(limit, queue)
  end
end

local function close(limit, queue)
  redis.call("ZREM", open, queue.name .. "\0" .. limit.take)
  queue.n_open = queue.n_open - 1
  if not is_shut(limit) then
    await_permit(limit, queue)
  end
end

-- Rooms whose permit has come are open.
local function open_due()
  local until_now, opened = string.format("%d", now_ms), {}
  local due = redis.call("ZRANGEBYSCORE", permits, "-inf", until_now, "LIMIT", 0, 256)
  for i, room in ipairs(due) do
    opened[2 * i - 1], opened[2 * i] = "0", room
  end
  put("ZADD", open, opened)
  put("ZREM", permits, due)
end

-- The open rooms of each queue: what is waited for there.
local function look_for_open()
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
local function next_permit()
  local found = redis.call("ZRANGE", permits, 0, 15, "WITHSCORES")
  for i = 1, #found, 2 do
    if queue_of(string.match(found[i], "^[^%z]*")) then
      return found[i + 1]
    end
  end
  return found[32]
end
