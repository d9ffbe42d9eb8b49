#!lua flags=allow-oom
-- purge: forget waiting jobs of one queue, a page at a time.
--
-- KEYS  jobs, big, attempts, reaps, history, reasons, id_of, ids, ended
--       parked    HASH  queue:name -> since when, how many
--       stats     HASH  counters
--       waits, notes, results, results_due, behind, flow
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       enqueuers  HASH  uid -> its place in line
--       enqueuers_line  ZSET  who waits for room in queues, in order
--       limited, open, rooms, permits
--       turns     HASH  how far each queue and each key have come
--       then sender:<id>; ready, suspects, scheduled, dropped of the queue; of each of its parked
--       lists: itself, its dropped_behind
-- ARGV  number    int   the sender's number of this write
--       limit     int   how many at most
--       retention int   ms for which a caller's id is remembered
--       given_now int   epoch ms, or empty for the server's clock
--       queue     name
--       then queue:name of each parked list
-- REPLY ok, how many
--       again, how many: executed before; nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: running and dead jobs stay.
-- Repeat: the sender's number decides, so a late copy can't take what came later.
-- Cost: O(limit).
local jobs, big, attempts, reaps, history, reasons, id_of, ids, ended, parked, stats,
  waits, notes, results, results_due, behind, flow, fair, enqueuers, enqueuers_line,
  limited, open, rooms, permits, turns = unpack(KEYS, 1, 25)
local number, limit, retention, given_now, queue = unpack(ARGV, 1, 5)
local sender, ready, suspects, scheduled, dropped = unpack(KEYS, 26, 30)
-- @use bump
-- @use now
-- @use forget
-- @use range
-- @use make_way_in
-- @use sender
-- @use doors
-- @use rooms
-- @use turns_back

for _, key in ipairs({ jobs, big, attempts, reaps, history, reasons, id_of, ids, parked, stats }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ waits, notes, results, flow, rooms, turns }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ results_due, limited, open, permits }) do
  redis.call("ZCARD", key)
end
redis.call("SCARD", behind)
redis.call("ZCARD", ended)
redis.call("ZCARD", scheduled)
redis.call("ZCARD", fair)
redis.call("SCARD", dropped)
redis.call("LLEN", ready)
redis.call("LLEN", suspects)
for k = 31, #KEYS, 2 do
  redis.call("LLEN", KEYS[k])
  redis.call("SCARD", KEYS[k + 1])
end
local has_line = redis.call("ZCARD", enqueuers_line) > 0 and redis.call("HLEN", enqueuers) > 0
local before = sent_before(sender, number)
if before then
  return before
end
-- @may
local uids, room = {}, tonumber(limit)
local function gather(found)
  for _, uid in ipairs(found or {}) do
    uids[#uids + 1] = uid
  end
  room = tonumber(limit) - #uids
end
local function from_list(list)
  if room > 0 then
    gather(redis.call("RPOP", list, room))
  end
end
-- Those that are over already have no row.
local function waited(found)
  local over = {}
  for i, row in ipairs(#found > 0 and redis.call("HMGET", flow, unpack(found)) or {}) do
    over[i] = { queue = queue, row = row or "" }
  end
  turns_back(over)
end
from_list(suspects)
if room > 0 then
  local from, till = range_of(queue)
  local members, takes = redis.call("ZRANGEBYLEX", limited, from, till, "LIMIT", 0, room), {}
  for i, member in ipairs(members) do
    redis.call("ZREM", limited, member)
    local take, uid = string.match(member, "^%Z*%z(%Z*)%z(.*)$")
    members[i], takes[take] = uid, true
  end
  gather(members)
  waited(members)
  for take in pairs(takes) do
    left_room(queue, take)
  end
end
from_list(ready)
if room > 0 then
  local first, last = range_of(queue)
  local members = redis.call("ZRANGEBYLEX", fair, first, last, "LIMIT", 0, room)
  if #members > 0 then
    redis.call("ZREM", fair, unpack(members))
    for m, member in ipairs(members) do
      members[m] = string.match(member, "^[^%z]*%z%x*%z(.*)$")
    end
    gather(members)
    waited(members)
  end
end
local passed = 0
for d = 1, #ARGV - 5 do
  local k, door = 29 + 2 * d, ARGV[5 + d]
  local oldest = room > 0 and redis.call("RPOP", KEYS[k], room)
  if oldest then
    gather(oldest)
    passed = passed + redis.call("SREM", KEYS[k + 1], unpack(oldest))
    redis.call("SREM", behind, unpack(oldest))
    left_door(KEYS[k], door, math.min(#oldest, (noted_behind(door))))
  end
end
if room > 0 then
  local due = redis.call("ZRANGE", scheduled, 0, room - 1)
  if #due > 0 then
    redis.call("ZREM", scheduled, unpack(due))
    gather(due)
  end
end
local purged = #uids
if #uids > 0 then
  purged = purged - passed - redis.call("SREM", dropped, unpack(uids))
  local now_ms = math.floor(clock(given_now) / 1000)
  forget(uids, "cancelled", now_ms, tonumber(retention))
  bump(stats, "purged", purged)
  if has_line and purged > 0 then
    make_way_in(queue, ready, scheduled, dropped, now_ms)
  end
end
remember(sender, number, purged)
return { "ok", purged }
