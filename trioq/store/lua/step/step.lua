#!lua flags=allow-oom
-- step: settle these claims and take those, exactly once.
--
-- KEYS  steps, jobs, attempts
--       stats     HASH  counters
--       parked    HASH  queue:name -> since when, how many
--       paused    SET   what nobody claims from: queues; runs: @names; starts with: =takes
--       pauses    HASH  the same -> since when, until when, who and why
--       strays    LIST  uids without a record
--       queues    SET   names
--       asked     HASH  boot -> how many asks it was ever sent
--       notes     HASH  uid -> what was last said of it
--       behind    SET   uids that lie in parked lists
--       flow      HASH  uid -> a line for its turn, then what it takes of limits, a line each
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       turns     HASH  how far each queue and each key have come
--       enqueuers  HASH  uid -> its place in line
--       enqueuers_line  ZSET  who waits for room in queues, in order
--       took      HASH  uid -> what its claim took of limits, a line each
--       slots     HASH  take -> how many claims hold it
--       limits    HASH  limit -> version:us between two starts:burst:concurrency
--       tats      ZSET  take -> its theoretical arrival time, NUL take -> its rest's end, epoch us
--       limited   ZSET  queue NUL take NUL uid, of those that a limit has refused
--       open      ZSET  queue NUL take, of rooms that may have something to give
--       rooms     HASH  take -> the queues in which somebody waits for it, a line each
--       permits   ZSET  queue NUL take -> when a permit comes that is waited for, epoch ms
--       then running:<boot>, packs:<boot>, asks:<boot>; then of all queues, in the order of
--       claiming: each one's ready; each one's suspects; scheduled; dropped; then the parked lists;
--       then each queue's bell; then the dropped_behind of each parked list
-- ARGV  boot      str
--       number    int   the number of this step: the last one + 1
--       want      int   how many to claim at most
--       suspect   0|1   whether one of them may be a suspect
--       known     int   the version of the parked index that the engine knows
--       keep_done int   how many summaries to keep
--       retention int   ms for which a caller's id outlives its job
--       max_bytes int   of records in one reply
--       pack_max  int   how many claims lie in one pack at most
--       forgets   0|1   whether the names of those of its queues go that nothing is in
--       given_now int   epoch ms, or empty for the server's clock
--       asked_known int how many asks the boot knows to have been sent
--       n_queues, n_parked, n_settled, n_runs: how many follow of
--       queue     name
--       parked    queue's place, name, how many to claim at most
--       settled   uid: those of each verb together
--       run       step, how many of these in a row it has claimed
--       then for each verb: its name, how many, and a column for each of its fields, or a text
--       of lines
-- REPLY ok, refused, uids, jobs, tries, suspects, held, left, due, known, index, asks, notes, off,
--       took, waits, behind, wake
--       again     the same, for a step that was executed before; nothing changed
--       changed   executed before with other settlements; nothing changed: a bug
--       old       a number before the last; nothing changed
--       gone      not registered, or not this far; nothing changed
--
-- Invariant: a uid is in one container before and after. A settlement counts only for the
--   claim it was made for: its step is the one in `running`, or of the pack. What a claim takes of
--   limits it takes all or none, and `slots` counts what is in `took`: of claims that are held.
-- Repeat: the number makes the steps of an engine a strict sequence. The last one again is
--   answered as it was, from `running` and `packs`, and from what `steps` notes of refusals; but
--   it isn't told again what the claimed had waited for.
-- Cost: a constant number of commands for each verb, parked list and queue that anything is in,
--   whatever the size of the batch; what isn't there is asked for many keys at a time.
-- @keys
local boot, number, want, suspect, known, keep_done, retention, max_bytes, pack_max, forgets, given_now,
  asked_known, n_queues, n_parked, n_settled, n_runs = unpack(ARGV, 1, 16)
local running, packs, asks = unpack(KEYS, n_fixed + 1, n_fixed + 3)
-- @use bump
-- @use in_packs
-- @use summarise

-- Of a record that is larger than any of ours, so much is enough to see that.
local RECORD_MAX = 1048576

-- Who asks, and for which of its steps -----------------------------------------------
local last = redis.call("HGET", steps, boot)
if not last then
  return { "gone" }
end
local claims_of = number .. ":"  -- what is said of this step's claims begins so
number = tonumber(number)
local last_number = tonumber(string.match(last, "^%d+") or "")
if not last_number then
  return { "gone" }
elseif number < last_number then
  return { "old" }
elseif number > last_number + 1 then
  return { "gone" }
end

-- The arguments --------------------------------------------------------------------
want, keep_done, retention = tonumber(want), tonumber(keep_done), tonumber(retention)
max_bytes, n_queues, n_parked = tonumber(max_bytes), tonumber(n_queues), tonumber(n_parked)
pack_max = tonumber(pack_max)
n_settled, n_runs = tonumber(n_settled), tonumber(n_runs)
local names_at = 16  -- ARGV[names_at + q] is the name of queue q; and so on below
local doors_at = names_at + n_queues
local uids_at = doors_at + 3 * n_parked
local runs_at = uids_at + n_settled
local lists_at = n_fixed + 3
local bells_at = lists_at + 4 * n_queues + n_parked
local behind_at = bells_at + n_queues

local counters = redis.call("HMGET", stats, "parked_version", "done", "summaries")
local version, n_done, n_summaries = counters[1] or "0", counters[2], counters[3]
local n_packed = in_packs(last)  -- of the claims that are held
-- How many there are of what is mostly absent, and of these.
local function count(...)
  return redis.call("EXISTS", paused, attempts, asked, notes, flow, fair, turns, enqueuers_line, ...)
end
local n_there  -- where that is known of what look asks for
if n_packed + n_parked == 0 and n_queues <= 4 and number > last_number
    and version == known and asked_known == "0" and forgets == "0" then
  -- @read alone
end
-- @use now
-- @use packs
-- @use range

local named = queues  -- the key: from here on, `queues` are those of this step

-- @use queue_at
local doors, door_of = {}, {}
for p = 1, n_parked do
  local q, name, limit = unpack(ARGV, doors_at + 3 * p - 2, doors_at + 3 * p)
  local queue = queue_at(tonumber(q))
  local door = { key = KEYS[lists_at + 4 * n_queues + p], field = queue.name .. ":" .. name, name = name,
                 dropped = KEYS[behind_at + p], queue = queue, limit = tonumber(limit), length = 0 }
  doors[p], door_of[door.field] = door, door
  table.insert(queue.doors, door)
end
-- Asked for before the first write, or never: the server may have to be asked, and may refuse.
local now_ms, now_us
local function now()
  now_us = now_us or clock(given_now)
  now_ms = math.floor(now_us / 1000)
  return now_ms
end
if n_parked > 0 then
  now()
end

-- What follows notes here what the end has to know ------------------------------------
local claims = { uids = {}, records = {}, tries = {}, suspects = {}, takes = {}, waits = {}, behind = {} }
local n_claimed, lots, left_doors = 0, {}, {}  -- a lot: up to where in `claims.uids`, and where from
local refused, cancelled, is_paused, lifted = {}, {}, {}, {}
local n_alone  -- of the claims that are held, in `running`
local has_attempts, has_notes, has_line, n_asked = false, false, false, "0"
local has_rows, has_keyed, is_turnless, has_limits = false, false, false, false
local with_limits = {}  -- what is done beside, where jobs take of limits
-- A uid without a record: it was cancelled where it lay, and is counted there; else nobody can say
-- what it was.
local function pass_over(uid, queue, door)
  if door and redis.call("SREM", door.dropped, uid) == 1 then
    -- and of those behind doors, nobody asks how many.
  elseif redis.call("SREM", queue.dropped, uid) == 0 then
    redis.pcall("LPUSH", strays, uid)
    bump(stats, "strays", 1)
  else
    queue.n_dropped = queue.n_dropped - 1
  end
end
-- A claimed job has waited behind this door: what that is called says why.
local function came_through(door, uid)
  local n = #claims.behind
  claims.behind[n + 1], claims.behind[n + 2] = uid, door.name
end
local parked_changed, suspects_moved = false, false
local keyed_returned, keyed_promoted, pop_turns, had_turn, put_turns_back, note_turns
local check_limits

-- Read, and check types: nothing after the first write may fail ---------------------
if n_parked > 0 or version ~= known then
  redis.call("HLEN", parked)
end
local has_beside, n_beside = false, 0  -- what an ack asks for besides, and how much of it is there
local groups, has_queues = {}, false
-- @read groups
local holds, there, loose = {}, {}, {}
if n_packed > 0 and (n_settled > 0 or number == last_number) then
  there = packs_in(packs)
end
if n_settled > 0 then
  -- @read find
end
if has_queues or forgets == "1" then
  redis.call("SCARD", named)
end
-- @read look
for _, group in ipairs(groups) do
  if group.verb.read then
    group.verb.read()
  end
end
-- What jobs take may be told by this very step, which then claims no job without it.
for _, group in ipairs(groups) do
  local count, field = group.last - group.first + 1, group.verb.takes_in
  for i = 1, field and count or 0 do
    if not has_limits and ARGV[group.at + (field - 1) * count + i] ~= "" then
      redis.call("HLEN", flow)
      check_limits()
    end
  end
end
if has_limits then
  -- @may limited
  -- @part limited
end
local is_due, may_pack = has_queues, has_queues or has_limits  -- what is settled to be due may be so at once
for _, queue in pairs(queues) do
  is_due = is_due or queue.first[2] and tonumber(queue.first[2]) <= now_ms
  may_pack = may_pack or queue.n_ready > 1
end
if want > 1 then
  may_pack = may_pack or is_due
  for _, door in ipairs(doors) do
    may_pack = may_pack or door.length > 1
  end
  if may_pack then
    redis.call("HLEN", packs)
  end
end
-- What its claims were asked for, if anything, they end as it is settled here.
local stop
if n_settled > 0 and n_asked ~= "0" then
  local verb
  -- @verb cancel
  stop = verb
end
has_queues = has_queues or next(queues) ~= nil or has_limits
local unused, silenced = {}, {}
-- @read unused
redis.call("HLEN", jobs)

-- Small packs are none: where a step claims few, they end in any order.
local function enough(count)
  return count > 1 and count >= pack_max / 2
end
-- Uids and what `running` says of each, one after the other.
local function hold_alone(claims)
  n_alone = n_alone or redis.call("HLEN", running)
  -- A hash of short values is a list to the server, and each look into it one at everything: a
  -- value of more than 64 bytes, a place with zeros before it, makes it a table.
  if n_alone <= 32 and n_alone + #claims / 2 > 32 then
    claims[2] = string.gsub(claims[2], ":", ":" .. string.rep("0", 64), 1)
  end
  n_alone = n_alone + redis.call("HSET", running, unpack(claims))
end

local reply
-- @part reply
if number == last_number then
  -- @read again
end

-- @may
if n_settled > 0 then
  -- @may settle
end
if has_keyed then
  -- @may keyed
end
if is_turnless then
  -- @may turnless
end
if has_keyed then
  -- @part keyed
end
if is_turnless then
  -- @part turnless
end
if has_queues then
  -- @may claim, hold, bells
  if has_line then
    -- @may way
  end
end
if is_due then
  -- @may promote
end
if unused[1] then
  -- @may unname
end
if lifted[1] then
  -- @may lift
end
if unused[1] then
  -- @part unname
end
if lifted[1] then
  -- @part lift
end
if n_settled > 0 then
  -- @part settle
end
n_alone = n_alone or redis.call("HLEN", running)
if is_due then
  -- @part promote
end
if has_queues then
  if has_limits then
    with_limits.resume()
    with_limits.promote()
    with_limits.look()
    with_limits.claim()
  else
    -- @part claim
  end
  -- @part hold
  -- @part bells
  if has_line then
    -- @part way
  end
end
if parked_changed then
  version = string.format("%d", bump(stats, "parked_version", 1))
end
-- A repeat is answered from this: whom it refused can't be told from `running` any more.
local refusals = table.concat(refused, " ") .. (cancelled[1] and "|" .. table.concat(cancelled, " ") or "")
local now_at = n_packed > 0 and number .. "+" .. n_packed or number
-- The number is a sign of life, too.
redis.call("HSET", steps, boot, refusals ~= "" and now_at .. " " .. refusals or now_at)
return reply("ok", refusals)
