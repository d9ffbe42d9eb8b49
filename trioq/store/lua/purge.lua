#!lua flags=allow-oom
-- purge: forget waiting jobs of one queue, a page at a time.
--
-- KEYS  jobs, big, attempts, reaps, history, reasons, id_of, ids, ended
--       parked    HASH  queue:name -> since when, how many
--       stats     HASH  counters
--       then sender:<id>; ready, suspects, scheduled, dropped of the queue; its parked lists
-- ARGV  number    int   the sender's number of this write
--       limit     int   how many at most
--       retention int   ms for which a caller's id is remembered
--       given_now int   epoch ms, or empty for the server's clock
--       then queue:name of each parked list
-- REPLY ok, how many
--       again, how many: executed before; nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: running and dead jobs stay.
-- Repeat: the sender's number decides, so a late copy can't take what came later.
-- Cost: O(limit).
local jobs, big, attempts, reaps, history, reasons, id_of, ids, ended, parked, stats = unpack(KEYS, 1, 11)
local number, limit, retention, given_now = unpack(ARGV, 1, 4)
local sender, ready, suspects, scheduled, dropped = unpack(KEYS, 12, 16)
-- @use bump
-- @use now
-- @use forget
-- @use sender
-- @use doors

for _, key in ipairs({ jobs, big, attempts, reaps, history, reasons, id_of, ids, parked, stats }) do
  redis.call("HLEN", key)
end
redis.call("ZCARD", ended)
redis.call("ZCARD", scheduled)
redis.call("SCARD", dropped)
redis.call("LLEN", ready)
redis.call("LLEN", suspects)
for k = 17, #KEYS do
  redis.call("LLEN", KEYS[k])
end
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
for _, list in ipairs({ suspects, ready }) do
  if room > 0 then
    gather(redis.call("RPOP", list, room))
  end
end
for k = 17, #KEYS do
  if room > 0 then
    local oldest = redis.call("RPOP", KEYS[k], room)
    if oldest then
      gather(oldest)
      left_door(KEYS[k], ARGV[k - 12], math.min(#oldest, (noted_behind(ARGV[k - 12]))))
    end
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
  purged = purged - redis.call("SREM", dropped, unpack(uids))
  forget(uids, "cancelled", math.floor(clock(given_now) / 1000), tonumber(retention))
  bump(stats, "purged", purged)
end
remember(sender, number, purged)
return { "ok", purged }
