#!lua flags=allow-oom
-- step: settle these claims and take those, exactly once.
--
-- KEYS  steps, beats, jobs, big, attempts, reaps, history, reasons, id_of, ids, ended
--       dead      ZSET  uid -> died, epoch ms
--       done      LIST  summaries, newest first
--       stats     HASH  counters
--       parked    HASH  queue:name -> since when, how many
--       paused    SET   queues that nobody claims from
--       strays    LIST  uids without a record
--       then running:<engine>; then for each queue, in the order of claiming:
--       ready, suspects, scheduled, dropped, bell; then the parked lists
-- ARGV  engine    str
--       n         int   the number of this step: the last one + 1
--       want      int   how many to claim at most
--       suspect   0|1   whether one of them may be a suspect
--       known     int   the version of the parked index that the engine knows
--       keep_done int   how many summaries to keep
--       retention int   ms for which a caller's id outlives its job
--       max_bytes int   of records in one reply
--       given_now int   epoch ms, or empty for the server's clock
--       n_queues, n_parked, n_ack, n_retry, n_dead, n_release, n_park: how many follow of
--       queue     name
--       parked    queue's place, name, how many to claim at most
--       ack       uid, step, summary
--       retry     uid, step, delay ms, failed attempts, history line
--       dead      uid, step, failed attempts, reason, history line
--       release   uid, step
--       park      uid, step, parked list's place
-- REPLY ok, refused, uids, records, failed attempts, suspects, held, left, next due, version, index
--       again     the same, for a step that was executed before; nothing changed
--       changed   executed before with other settlements; nothing changed: a bug
--       old       a number before the last; nothing changed
--       gone      not registered, or not this far; nothing changed
--
-- Invariant: a uid is in one container before and after. A settlement counts only for the
--   claim it was made for: its step is the one in `running`.
-- Repeat: the number makes the steps of an engine a strict sequence. The last one again is
--   answered as it was, from `running` and from what `steps` notes of refusals.
-- Cost: a constant number of commands for each verb, queue and parked list, whatever the
--   size of the batch.
local steps, beats, jobs, big, attempts, reaps, history, reasons, id_of, ids, ended, dead, done, stats, parked, paused, strays = unpack(KEYS, 1, 17)
local engine, n, want, suspect, known, keep_done, retention, max_bytes, given_now, n_queues, n_parked, n_ack, n_retry, n_dead, n_release, n_park = unpack(ARGV, 1, 16)
local running = KEYS[18]
-- @use now
-- @use drop
-- @use forget
-- @use history
-- @use ring

-- The arguments --------------------------------------------------------------------
n, want, retention, max_bytes = tonumber(n), tonumber(want), tonumber(retention), tonumber(max_bytes)
local cursor = 16
local function take(count)
  cursor = cursor + count
  return unpack(ARGV, cursor - count + 1, cursor)
end
local queues, place = {}, {}
for q = 1, n_queues do
  local k, name = 18 + (q - 1) * 5, take(1)
  queues[q] = { name = name, ready = KEYS[k + 1], suspects = KEYS[k + 2], scheduled = KEYS[k + 3],
                dropped = KEYS[k + 4], bell = KEYS[k + 5], parked = {} }
  place[name] = queues[q]
end
local doors = {}
for p = 1, n_parked do
  local q, name, limit = take(3)
  local door = { key = KEYS[18 + n_queues * 5 + p], field = queues[tonumber(q)].name .. ":" .. name,
                 limit = tonumber(limit) }
  doors[p] = door
  table.insert(queues[tonumber(q)].parked, door)
end
local settled = {}
local function settlements(verb, count, fields)
  for _ = 1, count do
    local uid, step = take(2)
    settled[#settled + 1] = { verb = verb, uid = uid, step = step, at = cursor }
    cursor = cursor + fields
  end
end
settlements("ack", n_ack, 1)
settlements("retry", n_retry, 3)
settlements("dead", n_dead, 3)
settlements("release", n_release, 0)
settlements("park", n_park, 1)

-- Read, and check types: nothing after the first write may fail ---------------------
local last = redis.call("HGET", steps, engine)
if not last then
  return { "gone" }
end
local last_n = tonumber(string.match(last, "^%d+"))
if n < last_n then
  return { "old" }
elseif n > last_n + 1 then
  return { "gone" }
end
for _, key in ipairs({ running, beats, jobs, big, attempts, reaps, history, reasons, id_of, ids, stats, parked }) do
  redis.call("HLEN", key)
end
redis.call("ZCARD", dead)
redis.call("ZCARD", ended)
redis.call("LLEN", done)
redis.call("LLEN", strays)
for _, door in ipairs(doors) do
  door.length = redis.call("LLEN", door.key)
end
for _, queue in ipairs(queues) do
  queue.n_ready = redis.call("LLEN", queue.ready)
  queue.n_suspects = redis.call("LLEN", queue.suspects)
  queue.n_dropped = redis.call("SCARD", queue.dropped)
  redis.call("LLEN", queue.bell)
  queue.first = redis.call("ZRANGE", queue.scheduled, 0, 0, "WITHSCORES")
end
local is_paused = {}
for _, name in ipairs(redis.call("SMEMBERS", paused)) do
  is_paused[name] = true
end
local now_ms = math.floor(clock(given_now) / 1000)
local claims = {}

local function reply(word, refused)
  local uids, records, tries, flags = {}, {}, {}, {}
  for i, claim in ipairs(claims) do
    uids[i], flags[i], records[i] = claim.uid, claim.suspect, claim.record
  end
  if #uids > 0 then
    tries = redis.call("HMGET", attempts, unpack(uids))
  end
  local left, next_due = 0, -1
  for _, queue in ipairs(queues) do
    if not is_paused[queue.name] then
      left = left + queue.n_ready
    end
    local first = queue.first[2] and tonumber(queue.first[2])
    if first and (next_due < 0 or first - now_ms < next_due) then
      next_due = math.max(0, first - now_ms)
    end
  end
  local version = redis.call("HGET", stats, "parked_version") or "0"
  local index = version ~= known and redis.call("HKEYS", parked) or false
  return { word, refused, uids, records, tries, flags, redis.call("HLEN", running), left, next_due, version, index }
end

local values = {}
if #settled > 0 then
  local uids = {}
  for i, s in ipairs(settled) do
    uids[i] = s.uid
  end
  values = redis.call("HMGET", running, unpack(uids))
end

if n == last_n then
  local refused = string.match(last, "^%d+ ?(.*)$")
  for i, s in ipairs(settled) do
    if values[i] and string.match(values[i], "^%d+") == s.step and not string.find(refused, s.uid, 1, true) then
      return { "changed" }
    end
  end
  local entries, mine = redis.call("HGETALL", running), {}
  for e = 1, #entries, 2 do
    local step, i, flag = string.match(entries[e + 1], "^(%d+):(%d+):(s?):")
    if tonumber(step) == n then
      mine[#mine + 1] = { uid = entries[e], i = tonumber(i), suspect = flag }
    end
  end
  table.sort(mine, function(a, b) return a.i < b.i end)
  if #mine > 0 then
    local uids = {}
    for i, claim in ipairs(mine) do
      uids[i] = claim.uid
    end
    for i, record in ipairs(redis.call("HMGET", jobs, unpack(uids))) do
      mine[i].record = record
    end
  end
  claims = mine
  return reply("again", refused)
end

-- @may
-- Settle ---------------------------------------------------------------------------
local refused, gone_uids, is_settled = {}, {}, {}
local acked, summaries, tries, lines, reason_of, died = {}, {}, {}, {}, {}, {}
local given_back, due, count = {}, {}, { ack = 0, retry = 0, dead = 0, release = 0, park = 0 }
for i, s in ipairs(settled) do
  local step, at, flag, from = string.match(values[i] or "", "^(%d+):(%d+):(s?):(.*)$")
  if step ~= s.step or not place[from] or is_settled[s.uid] then
    refused[#refused + 1] = s.uid
  else
    is_settled[s.uid] = true
    gone_uids[#gone_uids + 1] = s.uid
    count[s.verb] = count[s.verb] + 1
    local queue, a = place[from], s.at
    if s.verb == "ack" then
      acked[#acked + 1] = s.uid
      if ARGV[a + 1] ~= "" then
        summaries[#summaries + 1] = ARGV[a + 1]
      end
    elseif s.verb == "retry" then
      tries[#tries + 1], tries[#tries + 2] = s.uid, ARGV[a + 2]
      lines[#lines + 1] = { s.uid, ARGV[a + 3] }
      queue.due = queue.due or {}
      table.insert(queue.due, string.format("%d", now_ms + tonumber(ARGV[a + 1])))
      table.insert(queue.due, s.uid)
    elseif s.verb == "dead" then
      tries[#tries + 1], tries[#tries + 2] = s.uid, ARGV[a + 1]
      reason_of[#reason_of + 1], reason_of[#reason_of + 2] = s.uid, ARGV[a + 2]
      lines[#lines + 1] = { s.uid, ARGV[a + 3] }
      died[#died + 1], died[#died + 2] = string.format("%d", now_ms), s.uid
    elseif s.verb == "release" then
      given_back[#given_back + 1] = { uid = s.uid, step = tonumber(step), at = tonumber(at),
                                      queue = queue, suspect = flag == "s" }
    else
      local door = doors[tonumber(ARGV[a + 1])]
      door.arriving = door.arriving or {}
      table.insert(door.arriving, s.uid)
    end
  end
end

if #gone_uids > 0 then
  redis.call("HDEL", running, unpack(gone_uids))
end
forget(acked, "done", now_ms, retention)
if #summaries > 0 then
  redis.call("LPUSH", done, unpack(summaries))
  redis.call("LTRIM", done, 0, keep_done - 1)
end
if #tries > 0 then
  redis.call("HSET", attempts, unpack(tries))
  local uids, written = {}, {}
  for i, line in ipairs(lines) do
    uids[i] = line[1]
  end
  for i, old in ipairs(redis.call("HMGET", history, unpack(uids))) do
    if lines[i][2] ~= "" then
      written[#written + 1], written[#written + 2] = uids[i], appended(old, lines[i][2])
    end
  end
  if #written > 0 then
    redis.call("HSET", history, unpack(written))
  end
end
if #died > 0 then
  redis.call("ZADD", dead, unpack(died))
  redis.call("HSET", reasons, unpack(reason_of))
end
-- What goes back goes to the head, in the order in which it was claimed: last pushed, first out.
table.sort(given_back, function(a, b)
  if a.step ~= b.step then
    return a.step > b.step
  end
  return a.at > b.at
end)
local gave_suspects = false
for _, back in ipairs(given_back) do
  local kind = back.suspect and "back_suspects" or "back_ready"
  gave_suspects = gave_suspects or back.suspect
  back.queue[kind] = back.queue[kind] or {}
  table.insert(back.queue[kind], back.uid)
end
local parked_changed = false
for _, door in ipairs(doors) do
  if door.arriving then
    redis.call("LPUSH", door.key, unpack(door.arriving))
    if door.length == 0 then
      redis.call("HSET", parked, door.field, string.format("%d:%d", now_ms, #door.arriving))
      parked_changed = true
    end
    door.length = door.length + #door.arriving
  end
end
for _, queue in ipairs(queues) do
  if queue.back_suspects then
    queue.n_suspects = redis.call("RPUSH", queue.suspects, unpack(queue.back_suspects))
  end
  if queue.back_ready then
    queue.n_ready = redis.call("RPUSH", queue.ready, unpack(queue.back_ready))
  end
  if queue.due then
    redis.call("ZADD", queue.scheduled, unpack(queue.due))
    queue.first = redis.call("ZRANGE", queue.scheduled, 0, 0, "WITHSCORES")
  end
end

-- Promote what is due, to the tail, in order of due time ----------------------------
local room = 256
for _, queue in ipairs(queues) do
  local first = queue.first[2] and tonumber(queue.first[2])
  if first and first <= now_ms and room > 0 then
    local uids = redis.call("ZRANGEBYSCORE", queue.scheduled, "-inf", string.format("%d", now_ms), "LIMIT", 0, room)
    redis.call("ZREM", queue.scheduled, unpack(uids))
    queue.n_ready = redis.call("LPUSH", queue.ready, unpack(uids))
    queue.first = redis.call("ZRANGE", queue.scheduled, 0, 0, "WITHSCORES")
    room = room - #uids
  end
end

-- Claim: in each queue the suspects, then what waited at doors now open, then the rest --
local found = {}
local function pop(key, count, queue, origin, flag)
  if count <= 0 then
    return 0
  end
  local uids = redis.call("RPOP", key, string.format("%d", count))
  for _, uid in ipairs(uids or {}) do
    found[#found + 1] = { uid = uid, queue = queue, origin = key, door = origin, suspect = flag }
  end
  return uids and #uids or 0
end
local wanted = want
local may_take_suspect = suspect == "1"
for _, queue in ipairs(queues) do
  if wanted > 0 and not is_paused[queue.name] then
    if may_take_suspect and queue.n_suspects > 0 then
      wanted = wanted - pop(queue.suspects, 1, queue, nil, "s")
      queue.n_suspects = queue.n_suspects - 1
      may_take_suspect = false
    end
    for _, door in ipairs(queue.parked) do
      if door.length > 0 then
        local popped = pop(door.key, math.min(door.limit, wanted), queue, door, "")
        door.length, door.popped = door.length - popped, popped
        wanted = wanted - popped
      end
    end
    if queue.n_ready > 0 then
      local popped = pop(queue.ready, wanted, queue, nil, "")
      queue.n_ready = queue.n_ready - popped
      wanted = wanted - popped
    end
  end
end
if #found > 0 then
  local uids, taken, bytes, back, is_full = {}, {}, 0, {}, false
  for i, f in ipairs(found) do
    uids[i] = f.uid
  end
  local records = redis.call("HMGET", jobs, unpack(uids))
  for i, f in ipairs(found) do
    local record = records[i]
    if not record then
      if redis.call("SREM", f.queue.dropped, f.uid) == 0 then
        redis.call("LPUSH", strays, f.uid)
        redis.call("HINCRBY", stats, "strays", 1)
      else
        f.queue.n_dropped = f.queue.n_dropped - 1
      end
    elseif is_full or bytes > 0 and bytes + #record > max_bytes then
      is_full = true  -- and whatever comes after it waits too, so that nothing is overtaken
      back[#back + 1] = f
    else
      bytes = bytes + #record
      claims[#claims + 1] = { uid = f.uid, record = record, suspect = f.suspect }
      taken[#taken + 1] = f.uid
      taken[#taken + 1] = string.format("%d:%d:%s:%s", n, #claims, f.suspect, f.queue.name)
    end
  end
  local heads = {}
  for i = #back, 1, -1 do
    local f = back[i]
    heads[f.origin] = heads[f.origin] or {}
    table.insert(heads[f.origin], f.uid)
    if f.door then
      f.door.length = f.door.length + 1
    elseif f.suspect == "" then
      f.queue.n_ready = f.queue.n_ready + 1
    else
      f.queue.n_suspects = f.queue.n_suspects + 1
    end
  end
  for origin, uids_back in pairs(heads) do
    redis.call("RPUSH", origin, unpack(uids_back))
  end
  if #taken > 0 then
    redis.call("HSET", running, unpack(taken))
  end
  for _, door in ipairs(doors) do
    if door.popped and door.popped > 0 then
      if door.length == 0 then
        redis.call("HDEL", parked, door.field)
        parked_changed = true
      else
        redis.call("HSET", parked, door.field, string.format("%d:0", now_ms))
      end
    end
  end
end

-- Count, ring, answer ----------------------------------------------------------------
for field, counted in pairs({ done = count.ack, retried = count.retry, dead_letters = count.dead,
                              released = count.release, parked = count.park, claimed = #claims }) do
  if counted > 0 then
    redis.call("HINCRBY", stats, field, counted)
  end
end
if parked_changed then
  redis.call("HINCRBY", stats, "parked_version", 1)
end
local took_suspect = suspect == "1" and not may_take_suspect
for _, queue in ipairs(queues) do
  local has_suspects = (took_suspect or gave_suspects) and queue.n_suspects > 0
  if not is_paused[queue.name] and (queue.n_ready > queue.n_dropped or has_suspects) then
    ring(queue.bell)
  end
end
local refusals = table.concat(refused, " ")
redis.call("HSET", steps, engine, #refused > 0 and n .. " " .. refusals or n)
redis.call("HINCRBY", beats, engine, 1)
return reply("ok", refusals)
