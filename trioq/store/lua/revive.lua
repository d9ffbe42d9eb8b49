#!lua flags=allow-oom
-- revive: dead jobs become ready again, with a new set of attempts; one that was edited with another
--   payload.
--
-- KEYS  dead      ZSET  uid -> died, epoch ms
--       jobs, ids, ended, id_of
--       attempts  HASH  uid -> failed attempts
--       reaps     HASH  uid -> times it was the suspect
--       reasons   HASH  uid -> why it is dead
--       stats     HASH  counters
--       queues    SET   names
--       flow      HASH  uid -> a line for its turn, then what it takes of limits, a line each
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       turns     HASH  how far each queue and each key have come
--       big       HASH  uid -> a big payload
--       then sender:<id>; then for each queue: ready, bell
-- ARGV  number    int   the sender's number of this write
--       n_queues  int   how many queues there are in KEYS; their names
--       then for each job: queue's place, uid, and where it was edited its record, as it is to be, and a
--       big payload; else two empty ones
-- REPLY ok, how many, and the uids of those that stay dead as a live job has their id
--       again, the same: executed before; nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: what isn't dead stays where it is. Whose id was taken has it back, or stays dead where
--   a live job has it, and what it was. The history goes on.
-- Repeat: the sender's number decides, so a late copy can't revive a job that died again.
-- Cost: O(jobs).
local dead, jobs, ids, ended, id_of, attempts, reaps, reasons, stats, queues, flow, fair,
  turns, big = unpack(KEYS, 1, 14)
local number, n_queues = unpack(ARGV, 1, 2)
local sender = KEYS[15]
-- @use bump
-- @use drop
-- @use ring
-- @use sender
-- @use tagged
-- @use take_back

for _, key in ipairs({ jobs, ids, id_of, attempts, reaps, reasons, stats }) do
  redis.call("HLEN", key)
end
redis.call("HLEN", flow)
redis.call("HLEN", turns)
redis.call("HLEN", big)
redis.call("ZCARD", fair)
redis.call("ZCARD", ended)
redis.call("SCARD", queues)
for k = 16, #KEYS do
  redis.call("LLEN", KEYS[k])
end
local before = sent_before(sender, number)
if before then
  return before
end
-- @may
local uids, heads, refused = {}, {}, {}
for a = 3 + n_queues, #ARGV, 4 do
  local q, uid = tonumber(ARGV[a]), ARGV[a + 1]
  if redis.call("ZSCORE", dead, uid) and not take_back(uid) then
    refused[#refused + 1] = uid
  elseif redis.call("ZREM", dead, uid) == 1 then
    uids[#uids + 1] = uid
    heads[q] = heads[q] or {}
    table.insert(heads[q], uid)
    if ARGV[a + 2] ~= "" then
      redis.call("HSET", jobs, uid, ARGV[a + 2])
      redis.call("HDEL", big, uid)
      if ARGV[a + 3] ~= "" then
        redis.call("HSET", big, uid, ARGV[a + 3])
      end
    end
  end
end
if #uids > 0 then
  for _, key in ipairs({ attempts, reaps, reasons }) do
    drop(key, uids)
  end
  for q = 1, n_queues do
    if heads[q] then
      local becoming = {}
      for i, row in ipairs(redis.call("HMGET", flow, unpack(heads[q]))) do
        becoming[i] = { uid = heads[q][i], queue = ARGV[2 + q], row = row or nil }
      end
      local found = tagged(becoming)
      if #found.members > 0 then
        redis.call("ZADD", fair, unpack(found.members))
        redis.call("HSET", flow, unpack(found.rows))
        redis.call("HSET", turns, unpack(found.moved))
      end
      if #found.others > 0 then
        redis.call("LPUSH", KEYS[14 + q * 2], unpack(found.others))
      end
      redis.call("SADD", queues, ARGV[2 + q])  -- it may have been forgotten meanwhile
      ring(KEYS[15 + q * 2])
    end
  end
  bump(stats, "revived", #uids)
end
local answer = table.concat({ #uids, unpack(refused) }, " ")
remember(sender, number, answer)
return { "ok", answer }
