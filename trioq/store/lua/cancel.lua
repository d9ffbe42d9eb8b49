#!lua flags=allow-oom
-- cancel: jobs that wait shall not run, and those that run shall end.
--
-- KEYS  steps
--       jobs, big, attempts, reaps, history, reasons, id_of, ids, ended
--       dead      ZSET  uid -> died, epoch ms
--       stats     HASH  counters
--       waits, notes, results, results_due
--       done      LIST  summaries, newest first
--       behind    SET   uids that lie in parked lists
--       asked     HASH  boot -> how many asks it was ever sent
--       enqueuers  HASH  uid -> its place in line
--       enqueuers_line  ZSET  who waits for room in queues, in order
--       flow      HASH  uid -> what it takes of limits
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       limited, open, rooms, permits
--       turns     HASH  how far each queue and each key have come
--       then sender:<id>; for each engine: running, packs, asks, its own bell; for each queue:
--       scheduled, suspects, dropped, ready; for each door: dropped_behind
-- ARGV  number    int   the sender's number of this write
--       retention int   ms for which a caller's id is remembered
--       keep_done int   how many summaries to keep
--       given_now int   epoch ms, or empty for the server's clock
--       n_boots, n_queues: how many there are of them; the boots' names
--       then the queues' names; for each job: uid, its queue's place, its door's place, ms for which
--       its end is kept, summary
-- REPLY ok, a word for each: cancelled, asked (an engine has it), dead (already), unknown
--       again, the words: executed before; nothing changed
--       old       a number before the last; nothing changed
--       look again: there are other engines than these; nothing changed
--
-- Invariant: the record goes at once. A uid that lies in `ready` or in a parked list stays there,
--   counted in `dropped` or `dropped_behind`, until somebody passes over it. An ask is of the claim
--   that there is now, and the first stays, unless that was a quiet one.
-- Repeat: the sender's number decides, also for an answer that changed nothing.
-- Cost: O(jobs * engines), and O(length) of the suspects and of what lies in packs.
local steps, jobs, big, attempts, reaps, history, reasons, id_of, ids, ended, dead, stats, waits, notes,
  results, results_due, done, behind, asked, enqueuers, enqueuers_line, flow, fair,
  limited, open, rooms, permits, turns = unpack(KEYS, 1, 28)
local number, retention, keep_done, given_now, n_boots, n_queues = unpack(ARGV, 1, 6)
local sender = KEYS[29]
-- @use ask
-- @use now
-- @use cancelled
-- @use claims_of
-- @use make_way_in
-- @use rooms
-- @use sender
-- @use turns_back

for _, key in ipairs({ jobs, big, attempts, reaps, history, reasons, id_of, ids, stats }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ waits, notes, results, asked, flow, rooms, turns }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ results_due, limited, open, permits }) do
  redis.call("ZCARD", key)
end
redis.call("ZCARD", ended)
redis.call("ZCARD", dead)
redis.call("ZCARD", fair)
redis.call("LLEN", done)
redis.call("SCARD", behind)
local before = sent_before(sender, number)
if before then
  return before
end
local queues_at = 29 + 4 * n_boots
local doors_at = queues_at + 4 * n_queues
for k = queues_at + 1, doors_at, 4 do
  redis.call("ZCARD", KEYS[k])
  redis.call("LLEN", KEYS[k + 1])
  redis.call("SCARD", KEYS[k + 2])
  redis.call("LLEN", KEYS[k + 3])
end
local has_line = redis.call("ZCARD", enqueuers_line) > 0 and redis.call("HLEN", enqueuers) > 0
for k = doors_at + 1, #KEYS do
  redis.call("SCARD", KEYS[k])
end
local first = 7 + n_boots + n_queues
local uids = {}
for a = first, #ARGV, 5 do
  uids[#uids + 1] = ARGV[a]
end
local claim_of = claims_of(uids, 6, n_boots, 29, 4)
if not claim_of then
  return { "look again" }
end
for _, claim in pairs(claim_of) do
  claim.asks, claim.bell = KEYS[claim.at + 3], KEYS[claim.at + 4]
  redis.call("HLEN", claim.asks)
end
local now_ms = math.floor(clock(given_now) / 1000)

-- @may
keep_done = tonumber(keep_done)
local words, over, left, waited = {}, {}, {}, {}
local cancelled = { uids = {}, keeps = {}, summaries = {} }
local function left_its_room(uid, row, name)
  for take in string.gmatch(row, "\n([^\n]+)") do
    if redis.call("ZREM", limited, name .. "\0" .. take .. "\0" .. uid) == 1 then
      left_room(name, take)
      return true
    end
  end
end
local function take(uid, q, d)
  local k = queues_at + 4 * q - 3
  if redis.call("ZREM", KEYS[k], uid) == 1 or redis.call("LREM", KEYS[k + 1], 1, uid) == 1 then
    return
  end
  local name, row = ARGV[6 + n_boots + q], redis.call("HGET", flow, uid) or ""
  if not left_its_room(uid, row, name) then
    local is_behind = redis.call("SREM", behind, uid) == 1
    local dropped = is_behind and KEYS[doors_at + d] or KEYS[k + 2]
    redis.call("SADD", dropped, uid)
    if is_behind then
      return  -- it had its turn before it was put there
    end
  end
  waited[#waited + 1] = { queue = name, row = row }
end
for i, uid in ipairs(uids) do
  local q, d, keep_ms, summary = unpack(ARGV, first + 5 * i - 4, first + 5 * i - 1)
  if over[uid] or redis.call("HEXISTS", jobs, uid) == 0 then
    words[i] = "unknown"
  elseif redis.call("ZSCORE", dead, uid) then
    words[i] = "dead"
  elseif claim_of[uid] then
    ask(claim_of[uid], uid, keep_ms, summary)
    words[i] = "asked"
  else
    take(uid, q, d)
    over[uid], left[q], words[i] = true, true, "cancelled"
    table.insert(cancelled.uids, uid)
    table.insert(cancelled.keeps, keep_ms)
    table.insert(cancelled.summaries, summary)
  end
end
if has_line then
  for q in pairs(left) do
    local k = queues_at + 4 * q - 3
    local queue = string.match(KEYS[k], "}:scheduled:(.*)$")
    make_way_in(queue, KEYS[k + 3], KEYS[k], KEYS[k + 2], now_ms)
  end
end
turns_back(waited)
end_cancelled(cancelled.uids, cancelled.keeps, cancelled.summaries, now_ms, tonumber(retention))
local answer = table.concat(words, " ")
-- Remembered whatever it is: a late copy of a request must not cancel what waits again.
remember(sender, number, answer)
return { "ok", answer }
