#!lua flags=allow-oom
-- step: settle these claims and take those, exactly once.
--
-- KEYS  steps, beats, jobs, attempts
--       stats     HASH  counters
--       parked    HASH  queue:name -> since when, how many
--       paused    SET   queues that nobody claims from
--       strays    LIST  uids without a record
--       queues    SET   names
--       then running:<boot>; then for each queue, in the order of claiming:
--       ready, suspects, scheduled, dropped, bell; then the parked lists
-- ARGV  boot      str
--       number    int   the number of this step: the last one + 1
--       want      int   how many to claim at most
--       suspect   0|1   whether one of them may be a suspect
--       known     int   the version of the parked index that the engine knows
--       keep_done int   how many summaries to keep
--       retention int   ms for which a caller's id outlives its job
--       max_bytes int   of records in one reply
--       given_now int   epoch ms, or empty for the server's clock
--       n_queues, n_parked: how many follow of
--       queue     name
--       parked    queue's place, name, how many to claim at most
--       then a group for each verb: its name, how many, and of each uid, step, and what follows
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
-- @keys
local boot, number, want, suspect, known, keep_done, retention, max_bytes, given_now,
  n_queues, n_parked = unpack(ARGV, 1, 11)
local running = KEYS[n_fixed + 1]
-- @use bump
-- @use now
-- @use ring

-- The arguments --------------------------------------------------------------------
number, want, keep_done = tonumber(number), tonumber(want), tonumber(keep_done)
retention, max_bytes = tonumber(retention), tonumber(max_bytes)
local cursor = 11
local function take(count)
  cursor = cursor + count
  return unpack(ARGV, cursor - count + 1, cursor)
end
local named = queues  -- the key: from here on, `queues` are those of this step
local queues, place = {}, {}
for q = 1, n_queues do
  local k, name = n_fixed + 1 + (q - 1) * 5, take(1)
  queues[q] = { name = name, ready = KEYS[k + 1], suspects = KEYS[k + 2], scheduled = KEYS[k + 3],
                dropped = KEYS[k + 4], bell = KEYS[k + 5], parked = {} }
  place[name] = queues[q]
end
local doors, door_of = {}, {}
for p = 1, n_parked do
  local q, name, limit = take(3)
  local queue = queues[tonumber(q)]
  local door = { key = KEYS[n_fixed + 1 + n_queues * 5 + p], field = queue.name .. ":" .. name,
                 queue = queue, limit = tonumber(limit) }
  doors[p], door_of[door.field] = door, door
  table.insert(queue.parked, door)
end

-- Read, and check types: nothing after the first write may fail ---------------------
local last = redis.call("HGET", steps, boot)
if not last then
  return { "gone" }
end
local last_number = tonumber(string.match(last, "^%d+") or "")
if not last_number then
  return { "gone" }
elseif number < last_number then
  return { "old" }
elseif number > last_number + 1 then
  return { "gone" }
end
redis.call("SCARD", named)
-- @types but steps, paused, queues
redis.call("HLEN", running)
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

-- Something of this queue waits again: its name may have been forgotten while it ran.
local function waits_in(queue)
  redis.call("SADD", named, queue.name)
end

-- What follows notes here what the end has to know ------------------------------------
local claims, refused = {}, {}
local parked_changed, suspects_moved = false, false

-- The settlements: uids[i] stands at ARGV[at[i]], its step and its verb's fields behind it ---
-- @verbs
local groups, uids, at = {}, {}, {}
while cursor < #ARGV do
  local name, count = take(2)
  local verb, first = verbs[name](), #uids
  for i = first + 1, first + count do
    uids[i], at[i] = ARGV[cursor + 1], cursor + 1
    cursor = cursor + 2 + verb.fields
  end
  groups[#groups + 1] = { verb = verb, first = first + 1, last = #uids }
end
local holds = {}
if #uids > 0 then
  holds = redis.call("HMGET", running, unpack(uids))
end

local reply
-- @part reply
if number == last_number then
  -- @part again
end

-- @may
-- @part settle
-- @part promote
-- @part claim
-- Count, ring, answer ----------------------------------------------------------------
if parked_changed then
  bump(stats, "parked_version", 1)
end
for _, queue in ipairs(queues) do
  local has_suspects = suspects_moved and queue.n_suspects > 0
  if not is_paused[queue.name] and (queue.n_ready > queue.n_dropped or has_suspects) then
    ring(queue.bell)
  end
end
-- A repeat is answered from this: whom it refused can't be told from `running` any more.
local refusals = table.concat(refused, " ")
redis.call("HSET", steps, boot, #refused > 0 and number .. " " .. refusals or number)
bump(beats, boot, 1)
return reply("ok", refusals)
