#!lua flags=allow-oom
-- reap: take the jobs of an engine that has stopped beating.
--
-- KEYS  steps, beats, engines
--       jobs      HASH  uid -> record
--       reaps     HASH  uid -> times it was the suspect
--       history   HASH  uid -> lines
--       reasons   HASH  uid -> why it is dead
--       dead      ZSET  uid -> died, epoch ms
--       stats     HASH  counters
--       queues    SET   names
--       big, attempts, id_of, ids, ended, waits, notes, results, results_due
--       done      LIST  summaries, newest first
--       asked     HASH  boot -> how many asks it was ever sent
--       flow      HASH  uid -> a line for its turn, then what it takes of limits, a line each
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       took, slots, limits, tats, open, rooms
--       then running:<boot>, packs:<boot>, asks:<boot>, its own bell; then for each queue: ready,
--       suspects, bell
-- ARGV  boot      str   the one to reap
--       seen      int   its signs of life, which stood still: beats and steps together
--       max_reaps int   crashes as a suspect before a job is dead
--       line      json  history line for a job that dies of it
--       retention int   ms for which a caller's id is remembered
--       keep_done int   how many summaries to keep
--       given_now int   epoch ms, or empty for the server's clock
--       then the queues' names
-- REPLY reaped, jobs moved, uids now dead, uids cancelled, queues in which a limit has something to give
--       alive     it has beaten since; nothing changed
--       gone      not registered; nothing changed
--       look again, queues: some of its jobs came from these; nothing changed
--
-- Invariant: every job of the engine becomes a suspect, at the head of its queue and in
--   the order of its claims, but for those that somebody has asked to end: these are cancelled.
--   Only the one that was a suspect, or ran alone, is blamed. What their claims took of limits is
--   there for others.
-- Repeat: the second time the engine is gone.
-- Cost: O(jobs held), at most 2,000.
local steps, beats, engines, jobs, reaps, history, reasons, dead, stats, queues, big, attempts,
  id_of, ids, ended, waits, notes, results, results_due, done, asked, flow, fair,
  took, slots, limits, tats, open, rooms = unpack(KEYS, 1, 29)
local boot, seen, max_reaps, line, retention, keep_done, given_now = unpack(ARGV, 1, 7)
local running, packs, asks, own_bell = unpack(KEYS, 30, 33)
-- @use asked
-- @use bump
-- @use cancelled
-- @use now
-- @use die
-- @use free
-- @use held
-- @use limits_of

for _, key in ipairs({ engines, jobs, reaps, history, reasons, stats, big, attempts, id_of, ids, waits }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ notes, results, asked, asks, flow }) do
  redis.call("HLEN", key)
end
for _, key in ipairs({ took, slots, limits, rooms }) do
  redis.call("HLEN", key)
end
redis.call("ZCARD", tats)
redis.call("ZCARD", open)
redis.call("ZCARD", ended)
redis.call("ZCARD", fair)
redis.call("ZCARD", results_due)
redis.call("LLEN", done)
redis.call("ZCARD", dead)
redis.call("SCARD", queues)
local last = redis.call("HGET", steps, boot)
if not last then
  return { "gone" }
end
local beaten = tonumber(redis.call("HGET", beats, boot) or "")
if beaten and beaten < 0 then
  beaten = -1 - beaten  -- older versions counted up from 0
end
local stepped = tonumber(string.sub(string.match(last, "^%d*"), 1, 18)) or 0
if not beaten or beaten + stepped ~= tonumber(seen) then
  return { "alive" }
end
local entries, astray = entries_of(running, packs)
local place, missing = places(34, 8, entries)
if #missing > 0 then
  return { "look again", missing }
end
local now_ms = math.floor(clock(given_now) / 1000)
keep_done = tonumber(keep_done)

-- @may
local back, died, why, lines = {}, {}, {}, {}
local freed, waited_in = free(uids_of(entries, astray))
local unwanted, left = divided(asks, entries)
for _, entry in ipairs(left) do
  if entry.suspect or #entries == 1 then
    if bump(reaps, entry.uid, 1) >= tonumber(max_reaps) then
      died[#died + 1], why[#why + 1], lines[#lines + 1] = entry.uid, "worker_lost", line
    else
      back[#back + 1] = entry
    end
  else
    back[#back + 1] = entry
  end
end
for _, uid in ipairs(astray) do
  if redis.call("HEXISTS", jobs, uid) == 1 then
    died[#died + 1], why[#why + 1], lines[#lines + 1] = uid, "worker_lost", line
  end
end
die(died, why, lines, now_ms)
return_to_queues(back, place, true)
end_cancelled(unwanted.uids, unwanted.keeps, unwanted.summaries, now_ms, tonumber(retention))
redis.call("DEL", running, packs, asks, own_bell)
redis.call("HDEL", asked, boot)
redis.call("HDEL", steps, boot)
redis.call("HDEL", beats, boot)
redis.call("HDEL", engines, boot)
bump(stats, "reaped", #entries)
return { "reaped", #back, died, unwanted.uids, waiting_for(freed, waited_in) }
