#!lua
-- enqueue: queue these jobs, all or none of those taken.
--
-- KEYS  jobs, big, ids, ended, id_of
--       dead      ZSET  uid -> died, epoch ms
--       queues    SET   names
--       stats     HASH  counters
--       seen      HASH  path -> size:mtime_ns
--       then sender:<id>, limit:<name>; then for each queue: ready, scheduled, dropped, bell
-- ARGV  number    int   the sender's number of this write
--       interval  int   us between permits; 0: no limit
--       burst     int   permits that may be saved up
--       given_now int   epoch ms, or empty for the server's clock
--       n_queues  int   how many queues follow, each as: name, max length (0: none)
--       then for each job: queue's place, uid, delay ms, caller's id, record, big payload,
--       seen path, seen mark (empty: none)
-- REPLY ok, taken and for each that isn't new its place and `state:uid` or `seen:`, us until the next permit
--       full, its queue and the room there; nothing is queued, by this number ever
--       again, the same answer; executed before, nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: a job is written with its place in one queue; an id or a file's mark that is
--   known already queues nothing. No more than burst + rate * t jobs in any time t.
-- Repeat: the sender's number decides; where that was forgotten because the clock jumped, no
--   job that is still there is written again.
-- Cost: a constant number of commands for each queue, and O(jobs).
local jobs, big, ids, ended, id_of, dead, queues, stats, seen = unpack(KEYS, 1, 9)
local number, interval, burst, given_now, n_queues = unpack(ARGV, 1, 5)
local sender, limit = KEYS[10], KEYS[11]
-- @use bump
-- @use now
-- @use ring
-- @use sender

-- Read, and check types ---------------------------------------------------------------
for _, key in ipairs({ jobs, big, ids, id_of, stats, seen }) do
  redis.call("HLEN", key)
end
redis.call("SCARD", queues)
redis.call("ZCARD", ended)
redis.call("ZCARD", dead)
local place = {}
for q = 1, n_queues do
  local k, a = 11 + (q - 1) * 4, 5 + (q - 1) * 2
  place[q] = { name = ARGV[a + 1], max = tonumber(ARGV[a + 2]), ready = KEYS[k + 1], scheduled = KEYS[k + 2],
               bell = KEYS[k + 4], new = {}, due = {} }
  redis.call("LLEN", place[q].bell)
  place[q].length = redis.call("LLEN", place[q].ready) - redis.call("SCARD", KEYS[k + 3])
                    + redis.call("ZCARD", place[q].scheduled)
end
local before, is_new = sent_before(sender, number)
if before then
  return before
end
local now_us = clock(given_now)
local now_ms = math.floor(now_us / 1000)
local first = 5 + n_queues * 2
local count = (#ARGV - first) / 8
interval, burst = tonumber(interval), tonumber(burst)

-- The limiter: the generic cell rate algorithm, on the server's clock, in whole us -------
local permits, tat, stored_tat = count, now_us, 0
if interval > 0 then
  stored_tat = tonumber(string.match(redis.call("GET", limit) or "", "^%d+$") or 0)
  tat = math.min(math.max(stored_tat, now_us), now_us + burst * interval)
  permits = math.floor((now_us + burst * interval - tat) / interval)
end

-- What is there already -----------------------------------------------------------------
local asked_ids, asked_paths, known_ids, known_paths, is_there = {}, {}, {}, {}, {}
if is_new and count > 0 then
  local uids = {}
  for j = 0, count - 1 do
    uids[j + 1] = ARGV[first + j * 8 + 2]
  end
  for i, record in ipairs(redis.call("HMGET", jobs, unpack(uids))) do
    is_there[uids[i]] = record and true
  end
end
for j = 0, count - 1 do
  local a = first + j * 8
  if ARGV[a + 4] ~= "" then
    asked_ids[#asked_ids + 1] = ARGV[a + 4]
  end
  if ARGV[a + 7] ~= "" then
    asked_paths[#asked_paths + 1] = ARGV[a + 7]
  end
end
if #asked_ids > 0 then
  local values = redis.call("HMGET", ids, unpack(asked_ids))
  local ends = redis.call("ZMSCORE", ended, unpack(asked_ids))
  for i, id in ipairs(asked_ids) do
    if values[i] and not (ends[i] and tonumber(ends[i]) <= now_ms) then
      known_ids[id] = values[i]
    end
  end
end
if #asked_paths > 0 then
  for i, mark in ipairs(redis.call("HMGET", seen, unpack(asked_paths))) do
    known_paths[asked_paths[i]] = mark or nil
  end
end
local function existing(id)
  local value = known_ids[id]
  if not value or string.find(value, "%s") then
    return nil  -- what isn't ours is taken for nothing
  elseif string.find(value, ":", 1, true) then
    return value
  end
  if redis.call("HEXISTS", jobs, value) == 0 then
    return nil
  end
  return (redis.call("ZSCORE", dead, value) and "dead:" or "live:") .. value
end

local found, records, bigs, marks, new_ids, names, freed = {}, {}, {}, {}, {}, {}, {}
local taken, granted = 0, 0
for j = 0, count - 1 do
  local a = first + j * 8
  local queue, uid, delay = place[tonumber(ARGV[a + 1])], ARGV[a + 2], tonumber(ARGV[a + 3])
  local id, path = ARGV[a + 4], ARGV[a + 7]
  local other = id ~= "" and existing(id)
  if is_there[uid] then
    -- Taken before, by this very request.
  elseif other then
    found[#found + 1], found[#found + 2] = tostring(j), other
  elseif path ~= "" and known_paths[path] == ARGV[a + 8] then
    found[#found + 1], found[#found + 2] = tostring(j), "seen:"
  else
    if granted == permits then
      break
    end
    granted = granted + 1
    records[#records + 1], records[#records + 2] = uid, ARGV[a + 5]
    if ARGV[a + 6] ~= "" then
      bigs[#bigs + 1], bigs[#bigs + 2] = uid, ARGV[a + 6]
    end
    if id ~= "" then
      known_ids[id] = "live:" .. uid
      freed[#freed + 1] = id
      new_ids[#new_ids + 1], new_ids[#new_ids + 2] = id, uid
      names[#names + 1], names[#names + 2] = uid, id
    end
    if path ~= "" then
      known_paths[path] = ARGV[a + 8]
      marks[#marks + 1], marks[#marks + 2] = path, ARGV[a + 8]
    end
    if delay > 0 then
      table.insert(queue.due, string.format("%d", now_ms + delay))
      table.insert(queue.due, uid)
    else
      table.insert(queue.new, uid)
    end
  end
  taken = taken + 1
end
for _, queue in ipairs(place) do
  if queue.max > 0 and queue.length + #queue.new + #queue.due / 2 > queue.max then
    -- Remembered: an old copy of a request that was told "full" must not queue anything later.
    local answer = string.format("full %s %d", queue.name, math.max(0, queue.max - queue.length))
    remember(sender, number, answer)
    return { "full", answer }
  end
end

-- @may
-- Write -----------------------------------------------------------------------------------
local function put(command, key, list)
  for from = 1, #list, 1000 do
    redis.call(command, key, unpack(list, from, math.min(from + 999, #list)))
  end
end
put("HSET", jobs, records)
put("HSET", big, bigs)
put("HSET", seen, marks)
if #new_ids > 0 then
  put("ZREM", ended, freed)
  put("HSET", ids, new_ids)
  put("HSET", id_of, names)
end
local used = {}
for _, queue in ipairs(place) do
  put("LPUSH", queue.ready, queue.new)
  put("ZADD", queue.scheduled, queue.due)
  if #queue.new + #queue.due > 0 then
    -- For what is due later, too: an idle engine has to hear when.
    ring(queue.bell)
    used[#used + 1] = queue.name
  end
end
put("SADD", queues, used)
if granted > 0 then
  bump(stats, "enqueued", granted)
end
local wait = 0
if interval > 0 then
  -- A clock that went back leaves a time too far ahead: written bounded, so that it heals.
  local healed = tat < stored_tat
  tat = tat + granted * interval
  if granted > 0 or healed then
    redis.call("SET", limit, string.format("%d", tat), "PX", math.floor((tat - now_us) / 1000) + 1000)
  end
  if taken < count then
    wait = math.max(0, tat + interval - burst * interval - now_us)
  end
end
table.insert(found, 1, tostring(taken))
local answer = table.concat(found, " ")
remember(sender, number, answer)
return { "ok", answer, string.format("%d", wait) }
