#!lua flags=allow-oom
-- wait_for: how these jobs ended; of those that haven't, a client is to be told.
--
-- KEYS  jobs      HASH  uid -> record
--       dead      ZSET  uid -> died, epoch ms
--       results   HASH  uid -> how it ended, and what it returned
--       results_due  ZSET uid -> when to forget that, epoch ms
--       ids       HASH  a caller's id -> uid, or how it ended
--       ended     ZSET  a caller's id -> when to forget it
--       waits     HASH  uid -> the clients that wait for its end
--       enqueuers  HASH  uid -> its place in line
--       enqueuers_line  ZSET  all lines, in order
-- ARGV  client    str
--       given_now int   epoch ms, or empty for the server's clock
--       max_bytes int   of values in one reply, and one more
--       then for each job: uid, and its caller's id, or nothing
-- REPLY ok, a word for each: live, dead, done, …, room for who is to enqueue it now, a value for each
--
-- Invariant: a client is noted only for a job that hasn't ended, by the request that has seen so:
--   whatever ends it, tells. Who waits for room stays in line by asking; who was told of some, or is the
--   first one and hasn't tried for long, is to try: so nobody has to hear what it is told.
-- Repeat: notes the same client, or nobody, as the job has ended by now.
-- Cost: O(jobs asked for), at most 200.
local jobs, dead, results, results_due, ids, ended, waits, enqueuers, enqueuers_line = unpack(KEYS, 1, 9)
local client, given_now, max_bytes = unpack(ARGV, 1, 3)
-- @use line
-- @use now

local uids, callers_ids = {}, {}
for a = 4, #ARGV, 2 do
  uids[#uids + 1], callers_ids[#callers_ids + 1] = ARGV[a], ARGV[a + 1]
end
local now_ms = math.floor(clock(given_now) / 1000)
redis.call("HLEN", waits)
local records = redis.call("HMGET", jobs, unpack(uids))
local died = redis.call("ZMSCORE", dead, unpack(uids))
local kept = redis.call("HMGET", results, unpack(uids))
local due = redis.call("ZMSCORE", results_due, unpack(uids))
local noted = redis.call("HMGET", waits, unpack(uids))
local tombs = redis.call("HMGET", ids, unpack(callers_ids))
local tombs_due = redis.call("ZMSCORE", ended, unpack(callers_ids))
redis.call("ZCARD", enqueuers_line)
local places = redis.call("HLEN", enqueuers) > 0 and places_of(uids) or {}

local words, values, notes, left = {}, {}, {}, tonumber(max_bytes)
local function over(at)
  return not at or tonumber(at) <= now_ms
end
for i, uid in ipairs(uids) do
  local word, value = "unknown", ""
  local state, whose = string.match(tombs[i] or "", "^(%a+):(.*)$")
  if places[uid] then
    word = "live"
  elseif records[i] then
    word = died[i] and "dead" or "live"
  elseif kept[i] and not over(due[i]) then
    word, value = string.match(kept[i], "^(%S+) (.*)$")
  elseif whose == uid and not over(tombs_due[i]) then
    word = state
  elseif kept[i] then
    word = "expired"
  end
  if word == "live" and not places[uid] then
    local clients = noted[i] and noted[i] .. " " or ""
    local is_noted = string.find(" " .. clients, " " .. client .. " ", 1, true)
    if not is_noted and #clients + #client <= 4096 then
      notes[#notes + 1], notes[#notes + 2] = uid, clients .. client
    end
  end
  if left <= 0 and value ~= "" then
    word, value = "later", ""
  end
  left = left - #value
  words[i], values[i] = word, value
end
-- @may
if #notes > 0 then
  redis.call("HSET", waits, unpack(notes))
end
for uid, place in pairs(places) do
  place.till = now_ms + 3000
  redis.call("HSET", enqueuers, uid, as_kept(place))
end
local first_of = {}
for i, uid in ipairs(uids) do
  local queue = places[uid] and places[uid].queue
  if queue then
    first_of[queue] = first_of[queue] or first_ones(queue, now_ms)[1] or {}
    local is_first = first_of[queue].uid == uid and now_ms - places[uid].tried >= 900
    words[i] = (is_first or places[uid].tried == 0) and "room" or "live"
  end
end
return { "ok", words, values }
