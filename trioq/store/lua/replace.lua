#!lua
-- replace: a job that waits gets another payload, with all its attempts, and, if it isn't due yet,
-- another time.
--
-- KEYS  steps, jobs, big, ids, id_of
--       dead      ZSET  uid -> died, epoch ms
--       queues    SET   names
--       flow      HASH  uid -> a line for its turn, then what it takes of limits, a line each
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       limited, open, rooms, permits, attempts, reaps
--       took      HASH  uid -> what it holds of limits, a line each
--       slots     HASH  take -> how many hold it
--       then sender:<id>; its queue's ready, scheduled, bell; for each engine: running, packs
-- ARGV  number    int   the sender's number of this write
--       given_now int   epoch ms, or empty for the server's clock
--       queue     str   where it waits
--       uid       str
--       said      str   its caller's id, and how it is kept, as `renewed_id` says
--       record    json
--       payload   json  a big one, or empty
--       delay     int   ms; behind an @ epoch ms
--       row       str   of flow, or empty
--       asks      int   1: which run of its id it waits for is to be told, 0: it isn't
--       n_boots   int   how many engines there are; then the boots' names
-- REPLY ok, replaced (and for whom it waits), moved, dead or differs; or running, its step and its boot
--       again, the same answer; executed before, nothing changed
--       old       a number before the last; nothing changed
--       look again: there are other engines than these; nothing changed
--
-- Invariant: it stays what it is, where it is: its uid, its history, its place in line. Who waits
--   for what it doesn't take any more is first in its queue. What it takes of trioq's own limits stays.
-- Repeat: the sender's number decides, also for an answer that changed nothing.
-- Cost: O(engines), and O(length) of what lies in packs; if it asks and waits for a run of its id, O(jobs
--   that hold something of limits).
local steps, jobs, big, ids, id_of, dead, queues, flow, fair, limited, open, rooms,
  permits, attempts, reaps, took, slots = unpack(KEYS, 1, 17)
local number, given_now, queue, uid, said, record, payload, delay, row, asks, n_boots = unpack(ARGV, 1, 11)
local sender, ready, scheduled, bell = unpack(KEYS, 18, 21)
-- @use claims_of
-- @use give_back
-- @use keyed_back
-- @use now
-- @use renewed_id
-- @use ring
-- @use rooms
-- @use sender

for _, key in ipairs({ jobs, big, ids, id_of, flow, rooms, attempts, reaps, took, slots }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ dead, fair, limited, open, permits, scheduled }) do
  redis.call("ZCARD", key)
end
redis.call("SCARD", queues)
redis.call("LLEN", ready)
local before = sent_before(sender, number)
if before then
  return before
end
local claims = claims_of({ uid }, 11, n_boots, 21, 2)
if not claims then
  return { "look again" }
end
local now_ms = math.floor(clock(given_now) / 1000)
local known, id, latest = redis.call("HGET", id_of, uid), nil, nil
local due, was = redis.call("ZSCORE", scheduled, uid), redis.call("HGET", flow, uid) or ""
said, id, latest = renewed_id(said, known or "", now_ms)
local takes = string.match(row, "^[^\n]*(.*)$")
local function is_taken(take)
  return string.find(takes .. "\n", "\n" .. take .. "\n", 1, true)
end
for own in string.gmatch(was, "\n(@[^\n]+)") do
  takes = is_taken(own) and takes or takes .. "\n" .. own
end
local function key_of(row)
  local _, weight, key = turn_in(row)
  return key and weight .. " " .. key
end
local word
if redis.call("HGET", ids, id) ~= uid or redis.call("HEXISTS", jobs, uid) == 0 then
  word = "moved"
elseif redis.call("ZSCORE", dead, uid) then
  word = "dead"
elseif claims[uid] then
  word = "running " .. claims[uid].step .. " " .. claims[uid].boot
elseif not due and key_of(row) ~= key_of(was) then
  word = "differs"
end
-- Who runs, and holds what it waits for.
local after = ""
local own = asks == "1" and string.match(was .. "\n", "\n(@id:[^\n]+)\n")
if own and tonumber(redis.call("HGET", slots, own) or 0) > 0 then
  local held = redis.call("HGETALL", took)
  for h = 1, #held, 2 do
    if string.find("\n" .. held[h + 1] .. "\n", "\n" .. own .. "\n", 1, true) then
      after = " " .. held[h]
    end
  end
end
-- In which room it waits.
local room
for take in string.gmatch(not due and was or "", "\n([^\n]+)") do
  if redis.call("ZSCORE", limited, queue .. "\0" .. take .. "\0" .. uid) then
    room = take
  end
end

-- @may
-- Remembered whatever it is: a late copy must not replace what came since.
word = word or "replaced" .. after
remember(sender, number, word)
if string.sub(word, 1, 8) ~= "replaced" then
  return { "ok", word }
end
redis.call("HSET", jobs, uid, record)
if payload ~= "" then
  redis.call("HSET", big, uid, payload)
else
  redis.call("HDEL", big, uid)
end
redis.call("HDEL", attempts, uid)
redis.call("HDEL", reaps, uid)
redis.call("HSET", id_of, uid, said)
-- Who has waited for a turn keeps its tag.
row = string.match(due and row or was, "^[^\n]*") .. takes
if row == "" then
  redis.call("HDEL", flow, uid)
else
  redis.call("HSET", flow, uid, row)
end
if due then
  due = tonumber(delay) and now_ms + delay or math.max(now_ms, tonumber(string.sub(delay, 2)))
  due = math.min(due, latest or math.huge)
  redis.call("ZADD", scheduled, string.format("%d", due), uid)
elseif room and not is_taken(room) then
  redis.call("ZREM", limited, queue .. "\0" .. room .. "\0" .. uid)
  left_room(queue, room)
  give_back(keyed_back({ { uid = uid, list = ready, ready_of = queue } }))
  redis.call("SADD", queues, queue)
end
ring(bell)
return { "ok", word }
