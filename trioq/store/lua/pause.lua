#!lua flags=allow-oom
-- pause: stop claiming from a queue, or running the jobs of a name, or those that take of a limit; or
-- go on.
--
-- KEYS  paused    SET   what nobody claims from: queues; runs: @names; starts with: =takes
--       pauses    HASH  the same -> since when, until when, who and why
--       parked    HASH  queue:name -> since when, how many
--       queues    SET   names
--       stats     HASH  counters
--       rooms     HASH  take -> the queues in which somebody waits for it, a line each
--       open      ZSET  queue NUL take, of rooms that may have something to give
--       then sender:<id>; the bells of queues
-- ARGV  number    int   the sender's number of this write
--       what      str   a queue, an @ and the name of jobs, or a = and a take
--       pause     0|1   0: go on
--       for_ms    int   for how long; 0: until somebody has it go on
--       said      str   JSON: who, and why
--       given_now int   epoch ms, or empty for the server's clock
--       then the names of the queues whose bells these are: what is to go on, or where it waits
-- REPLY ok, 1 if that was a change, else 0
--       again, the same: executed before; nothing changed
--       old       a number before the last; nothing changed
--       look again, queues: what is to go on waits in these too; nothing changed
--
-- Invariant: jobs stay where they are; running ones run on.
-- Repeat: the sender's number decides, so a late copy can't pause a queue again.
-- Cost: O(1); of a name, O(doors that jobs are parked behind); of a take, O(queues in which somebody
--   waits for it).
local paused, pauses, parked, queues, stats, rooms, open = unpack(KEYS, 1, 7)
local number, what, pause, for_ms, said, given_now = unpack(ARGV, 1, 6)
local sender = KEYS[8]
-- @use bump
-- @use now
-- @use open_rooms
-- @use ring
-- @use sender

-- @types
local kind, bell_of, missing = string.sub(what, 1, 1), {}, {}
local is_name, take = kind == "@", kind == "=" and string.sub(what, 2)
for b = 9, #KEYS do
  bell_of[ARGV[b - 2]] = KEYS[b]
  redis.call("LLEN", KEYS[b])
end
local is_member = redis.call("SISMEMBER", paused, what) == 1
local since, till = string.match(redis.call("HGET", pauses, what) or "", "^(%d+):(%d+):")
local is_named = redis.call("SISMEMBER", queues, what) == 1
local before = sent_before(sender, number)
if before then
  return before
end
local to_ring = { is_named and bell_of[what] or nil }
local function may_start_in(queue)
  to_ring[#to_ring + 1] = bell_of[queue]
  missing[#missing + 1] = not bell_of[queue] and queue or nil
end
if pause == "0" and is_name then
  for _, door in ipairs(redis.call("HKEYS", parked)) do
    local queue, name = string.match(door, "^(.-):([^\t]*)")
    if name == string.sub(what, 2) then
      may_start_in(queue)
    end
  end
elseif pause == "0" and take then
  for queue in string.gmatch(redis.call("HGET", rooms, take) or "", "[^\n]+") do
    may_start_in(queue)
  end
end
if missing[1] then
  return { "look again", missing }
end
local now_ms = math.floor(clock(given_now) / 1000)
local was_paused = is_member and not (till and till ~= "0" and tonumber(till) <= now_ms)
-- @may
if pause == "1" then
  local ends = for_ms == "0" and "0" or string.format("%d", now_ms + for_ms)
  local begun = was_paused and since or string.format("%d", now_ms)
  redis.call("SADD", paused, what)
  redis.call("HSET", pauses, what, begun .. ":" .. ends .. ":" .. said)
else
  redis.call("SREM", paused, what)
  redis.call("HDEL", pauses, what)
  if take then
    open_rooms({ take })
  end
  -- What isn't named is empty, and nobody would ever take its bell away.
  for _, bell in ipairs(to_ring) do
    ring(bell)
  end
end
if is_name then
  bump(stats, "parked_version", 1)  -- engines hear of it with the doors
end
local changed = was_paused ~= (pause == "1") and 1 or 0
remember(sender, number, changed)
return { "ok", changed }
