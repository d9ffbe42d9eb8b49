-- Jobs that may be known already, be due later, or be more than the limit admits.
-- @use renewed_id
for _, key in ipairs({ big, ids, id_of, seen }) do
  redis.call("HLEN", key)
end
redis.call("ZCARD", ended)
redis.call("ZCARD", dead)
for _, queue in ipairs(place) do
  redis.call("ZCARD", queue.scheduled)
  queue.due = {}
end
local now_ms = math.floor(now_us / 1000)
local count = (#ARGV - last) / 9
interval, burst = tonumber(interval), tonumber(burst)
records, first_record, last_record = {}, 1, nil
more = { bigs = {}, marks = {}, ids = {}, id_of = {}, freed = {} }

-- The limiter: the generic cell rate algorithm, on the server's clock, in whole us
local permits, tat, stored_tat = count, now_us, 0
if interval > 0 then
  stored_tat = tonumber(string.match(redis.call("GET", limit) or "", "^%d+$") or 0)
  tat = math.min(math.max(stored_tat, now_us), now_us + burst * interval)
  permits = math.floor((now_us + burst * interval - tat) / interval)
end

-- What is there already
local asked_uids, asked_ids, asked_paths, known_ids, known_paths = {}, {}, {}, {}, {}
for a = last, #ARGV - 9, 9 do
  asked_uids[#asked_uids + 1] = ARGV[a + 2]
  if ARGV[a + 4] ~= "" then
    asked_ids[#asked_ids + 1] = string.match(ARGV[a + 4], "^%Z+")
  end
  if ARGV[a + 7] ~= "" then
    asked_paths[#asked_paths + 1] = ARGV[a + 7]
  end
end
look(asked_uids)
if #asked_ids > 0 then
  local values = redis.call("HMGET", ids, unpack(asked_ids))
  local ends = redis.call("ZMSCORE", ended, unpack(asked_ids))
  for i, id in ipairs(asked_ids) do
    if values[i] and not (ends[i] and tonumber(ends[i]) <= now_ms) then
      known_ids[id] = values[i]
    end
  end
end
-- @use known_file
if #asked_paths > 0 then
  known_paths = known_files(asked_paths)
end
-- A file that was gone for a while is another where its mark doesn't tell.
local function is_seen(path, mark)
  local known = known_paths[path]
  return known and (known == mark or known == short_of(mark)
    or string.sub(mark, -1) ~= ":" and string.sub(known, 1, #mark + 1) == mark .. ":")
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

local others = {}
local function add(list, key, value)
  list[#list + 1], list[#list + 2] = key, value
end
for j = 0, count - 1 do
  local a = last + j * 9
  local queue, uid = place[tonumber(ARGV[a + 1])], ARGV[a + 2]
  local delay = tonumber(ARGV[a + 3]) or math.max(0, string.sub(ARGV[a + 3], 2) - now_ms)
  local id, path = string.match(ARGV[a + 4], "^%Z*"), ARGV[a + 7]
  local other = id ~= "" and not takes_over and existing(id)
  if is_there[uid] then
    -- Taken before, by this very request.
  elseif other then
    add(others, j, other)
  elseif path ~= "" and is_seen(path, ARGV[a + 8]) then
    add(others, j, "seen:")
  else
    if granted == permits then
      break
    end
    granted = granted + 1
    add(records, uid, ARGV[a + 5])
    local row = ARGV[a + 9]
    local is_keyed = string.byte(row) == 32 and delay == 0
    if row ~= "" and not is_keyed then  -- that of others is written with their tags
      add(flow_rows, uid, row)
    end
    if ARGV[a + 6] ~= "" then
      add(more.bigs, uid, ARGV[a + 6])
    end
    if id ~= "" then
      known_ids[id] = "live:" .. uid
      table.insert(more.freed, id)
      add(more.ids, id, uid)
      add(more.id_of, uid, (renewed_id(ARGV[a + 4], "", now_ms)))
    end
    if path ~= "" then
      known_paths[path] = ARGV[a + 8]
      add(more.marks, path, short_of(ARGV[a + 8]))
      add(more.marks, "\0" .. path, ARGV[a + 8])
    end
    if delay > 0 then
      add(queue.due, string.format("%d", now_ms + delay), uid)
    elseif is_keyed then
      becoming[#becoming + 1] = { uid = uid, queue = queue.name, row = row }
      queue.n_keyed = (queue.n_keyed or 0) + 1
    else
      table.insert(queue.new, uid)
    end
  end
  taken = taken + 1
end

if #others > 0 then
  found = " " .. table.concat(others, " ")
end
if interval > 0 then
  -- A clock that went back leaves a time too far ahead: written bounded, so that it heals.
  local healed = tat < stored_tat
  tat = tat + granted * interval
  if granted > 0 or healed then
    more.tat, more.ttl_ms = string.format("%d", tat), math.floor((tat - now_us) / 1000) + 1000
  end
  if taken < count then
    wait = string.format("%d", math.max(0, tat + interval - burst * interval - now_us))
  end
end
-- @may ZADD, ZREM
