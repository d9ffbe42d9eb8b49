-- look: which of the queues' lists are there, and what is known of each that is.
--
-- Most are not, most of the time. How many are is asked for many at once, and they are looked at
-- one by one until so many have been found: a step costs what there is, not what there could be.
-- @use counted
function check_limits()
  has_limits = true  -- trioq's own nobody has to declare
  for _, key in ipairs({ limits, took, slots, rooms }) do
    redis.call("HLEN", key)
  end
  for _, key in ipairs({ tats, limited, open, permits }) do
    redis.call("ZCARD", key)
  end
end

local function read_keyed()
  has_rows = redis.call("HLEN", flow) > 0
  is_turnless = redis.call("HLEN", turns) > 0 and not has_rows
  has_keyed = redis.call("ZCARD", fair) > 0
  for q = 1, has_keyed and n_queues or 0 do
    local name = ARGV[names_at + q]
    local count = redis.call("ZLEXCOUNT", fair, range_of(name))
    if count > 0 then
      queue_at(q).n_keyed, queue_at(q).is_used = count, true
    end
  end
  has_keyed = has_keyed or has_rows
  if has_rows then
    check_limits()
  end
end

local function read_rare()
  n_asked = counted_in(asked, boot)
  if n_asked ~= "0" then
    redis.call("HLEN", asks)
  end
  if redis.call("EXISTS", flow, fair, turns) > 0 then
    read_keyed()
  end
  has_notes = redis.call("HLEN", notes) > 0
  has_attempts = redis.call("HLEN", attempts) > 0
  if redis.call("ZCARD", enqueuers_line) > 0 then
    has_line = redis.call("HLEN", enqueuers) > 0
    now()
  end
  for _, name in ipairs(redis.call("SMEMBERS", paused)) do
    is_paused[name] = true
  end
  local told = next(is_paused) and redis.call("HGETALL", pauses) or {}
  for p = 1, #told, 2 do
    local till = string.match(told[p + 1], "^%d+:([1-9]%d*):")
    if till and is_paused[told[p]] and tonumber(till) <= now() then
      is_paused[told[p]], lifted[#lifted + 1] = nil, told[p]
    end
  end
end

local LENGTHS = { [0] = "n_ready", [1] = "n_suspects", [3] = "n_dropped" }
local function read(k)
  local nth = k - lists_at - 1
  if nth >= 4 * n_queues then
    local door = doors[nth - 4 * n_queues + 1]
    door.length = redis.call("LLEN", door.key)
    redis.call("SCARD", door.dropped)
    redis.call("SCARD", behind)
    return door.length > 0
  end
  local kind, q, key = math.floor(nth / n_queues), nth % n_queues + 1, KEYS[k]
  if kind == 2 then
    local first = redis.call("ZRANGE", key, 0, 0, "WITHSCORES")
    if first[2] then
      queue_at(q).first, queue_at(q).is_used = first, true
      now()
    end
    return first[2] ~= nil
  end
  local length = redis.call(kind == 3 and "SCARD" or "LLEN", key)
  if length > 0 then
    queue_at(q)[LENGTHS[kind]], queue_at(q).is_used = length, true
  end
  return length > 0
end
local function look(first, last, there)
  if last - first < 8 then
    while there > 0 do
      there = there - (read(first) and 1 or 0)
      first = first + 1
    end
  elseif there > 0 then
    local half = math.floor((first + last) / 2)
    local below = redis.call("EXISTS", unpack(KEYS, first, half))
    look(first, half, below)
    look(half + 1, last, there - below)
  end
end
local next_at, last = lists_at + 1, math.min(lists_at + 128, bells_at)
local there = n_there
if there then
  -- and nobody has written since.
elseif n_settled == 0 then
  there = count(running, unpack(KEYS, next_at, last))
elseif has_beside then
  there = count(big, reaps, history, reasons, id_of, waits, unpack(KEYS, next_at, last))
else
  there = count(unpack(KEYS, next_at, last))
end
local function look_at_running()
  n_alone = redis.call("HLEN", running)
  there = there - (n_alone > 0 and 1 or 0)
end
if n_settled == 0 and there > 1 then
  look_at_running()
end
if there == 1 and n_queues <= 4 then
  -- It is mostly what has just been enqueued, and where jobs go that don't say: into the last queue.
  local k = lists_at + n_queues
  while there > 0 and k > lists_at do
    there = there - (read(k) and 1 or 0)
    k = k - 1
  end
  next_at = lists_at + n_queues + 1
end
if there > 0 then
  if n_settled == 0 and not n_alone then
    look_at_running()
  end
  n_beside = has_beside and redis.call("EXISTS", big, reaps, history, reasons, id_of, waits) or 0
  local n_rare = there > n_beside and count() or 0
  if n_rare > 0 then
    read_rare()
  end
  look(next_at, last, there - n_beside - n_rare)
elseif n_settled == 0 then
  n_alone = n_alone or 0
end
for first = last + 1, bells_at, 128 do
  last = math.min(first + 127, bells_at)
  look(first, last, redis.call("EXISTS", unpack(KEYS, first, last)))
end
