#!lua
-- enqueue: queue these jobs, all or none of those taken.
--
-- KEYS  jobs, big, ids, ended, id_of
--       dead      ZSET  uid -> died, epoch ms
--       queues    SET   names
--       stats     HASH  counters
--       seen      HASH  path -> size:mtime_ns; NUL and path -> the mark
--       flow      HASH  uid -> a line for its turn, then what it takes of limits, a line each
--       fair      ZSET  queue, NUL, tag, NUL, uid: ready jobs that have a fair key
--       turns     HASH  how far each queue and each key have come
--       then sender:<id>, limit:<name>; then for each queue: ready, scheduled, dropped, bell; then,
--       if one of them has a max length, a schedule moves or an id is taken: history, reasons, waits,
--       enqueuers, enqueuers_line, limited, open, rooms, permits; and if a schedule moves: ticks, runs,
--       ticked, schedules; if an id is taken: running:<boot>, packs:<boot>, asks:<boot>, its own bell,
--       asked, took, slots
--       or, for one plain job and a queue without a max length, no more than: jobs, queues, stats,
--       sender:<id>, ready, bell
-- ARGV  number    int   the sender's number of this write
--       interval  int   us between permits; 0: no limit
--       burst     int   permits that may be saved up
--       given_now int   epoch ms, or empty for the server's clock
--       whose     str   place in line (0: none yet) and name of who waits where there is no room;
--       empty: nobody waits
--       line      json  what the history of a job says that is dropped
--       seen_as   str   what must be as it was seen, or nothing is written. Empty: nothing. Of the
--       schedule that moves: the tick that was its next, the one after it (0: none), how many of its
--       runs may be alive, SHA1 of its row, its name; then what becomes of its ticks, a line each. Of
--       the job that loses its id to this one: how (dead, again, supersede), its uid, its claim's
--       step, ms for which its end is kept if it is cancelled, and its boot; what both take, a line;
--       a summary
--       n_queues  int   how many queues follow, each as: name, max length (0: none), what happens
--       to more (reject, wait or drop_oldest), how many plain jobs go there
--       n_rows    int   how many rows of flow plain jobs have
--       then the plain jobs, queue by queue: uid, record; if they have rows: these, and for each queue
--       the places of its jobs' rows (0: none); or else for each job: queue's place,
--       uid, delay ms (@: epoch ms), caller's id (and how it is kept, as `renewed_id` says), record, big
--       payload, seen path, seen mark, flow (empty: none)
--       or, beside the six keys: number, queue, uid, record
-- REPLY ok, taken and for each that isn't new its place and `state:uid` or `seen:`, us until the next permit
--       full, its queue, how many wait there, how many would come; nothing is queued, by this number ever
--       wait, its queue, how many wait there, the place in line; likewise
--       stays, moved or alive and a uid: it isn't as it was seen, or too many runs live; likewise
--       again, the same answer; executed before, nothing changed
--       old       a number before the last; nothing changed
--
-- Invariant: a job is written with its place in one queue; an id or a file's mark that is
--   known already queues nothing. No more than burst + rate * t jobs in any time t.
-- Repeat: the sender's number decides; where that was forgotten because the clock jumped, no
--   job that is still there is written again.
-- Cost: a constant number of commands for each queue, and O(jobs). A plain job has nothing but
--   its record, and Lua handles no more of it than its uid. Where jobs are dropped that a limit had
--   refused, one of each of up to 128 rooms is read, and then one for each that is dropped.
-- @use bump
-- @use sender
if #KEYS == 6 then
  -- @read one
end
local jobs, big, ids, ended, id_of, dead, queues, stats, seen, flow, fair, turns = unpack(KEYS, 1, 12)
local number, interval, burst, given_now, whose, line, seen_as, n_queues = unpack(ARGV, 1, 8)
local n_rows = tonumber(ARGV[9 + 4 * n_queues])
local sender, limit = KEYS[13], KEYS[14]
local history, reasons, waits, enqueuers, enqueuers_line, limited, open, rooms, permits,
  ticks, runs, ticked, schedules =
  unpack(KEYS, 15 + 4 * n_queues, 27 + 4 * n_queues)
-- @use line
-- @use now
-- @use range

-- Read, and check types: nothing after the first write may fail. That one is of `jobs` wherever
-- it is written at all, and of nothing yet if it fails -----------------------------------------
local before, is_new = sent_before(sender, number)
if before then
  return before
end
local place, names, last = {}, {}, 9 + n_queues * 4
local first = last + 1
for q = 1, n_queues do
  local k, a = 14 + (q - 1) * 4, 8 + (q - 1) * 4
  local queue = { name = ARGV[a + 1], max = tonumber(ARGV[a + 2]), ready = KEYS[k + 1],
                  when_full = ARGV[a + 3], scheduled = KEYS[k + 2], dropped = KEYS[k + 3],
                  bell = KEYS[k + 4], new = {}, first = last + 1 }
  last = last + ARGV[a + 4] * 2
  queue.last = last
  queue.in_line = redis.call("LLEN", queue.ready)
  queue.is_rung = redis.call("EXISTS", queue.bell) == 1
  if queue.max > 0 then
    queue.in_line = queue.in_line - redis.call("SCARD", queue.dropped)
      + redis.call("ZLEXCOUNT", fair, range_of(queue.name))
    queue.n_limited = redis.call("ZLEXCOUNT", limited, range_of(queue.name))
    queue.length = queue.in_line + queue.n_limited + redis.call("ZCARD", queue.scheduled)
  end
  place[q], names[q] = queue, queue.name
end
local is_known = n_queues ~= "0" and redis.call("SMISMEMBER", queues, unpack(names))

local moves, takes_over, stays
if seen_as == "" then
  -- Whatever there is.
elseif string.find(seen_as, "^%d") then
  -- @part tick
else
  -- @part holder
end

-- Sort out what is there already ----------------------------------------------------------------
local is_there = {}
local function look(uids)
  if is_new and #uids > 0 then
    -- Taken before, by this very request: its number was forgotten.
    for i, record in ipairs(redis.call("HMGET", jobs, unpack(uids))) do
      is_there[uids[i]] = record and true or nil
    end
  end
end
-- How many are taken and how many of them are new; records of these, as they are to be written;
-- and what only those can have, and have to be answered, that aren't plain.
local taken, granted, records, first_record, last_record = 0, 0, ARGV, first, last
local more, found, wait = nil, "", "0"
local flow_rows, in_turn, becoming = {}, nil, {}
if n_rows == 0 and last < #ARGV or interval ~= "0" then
  local now_us = clock(given_now)
  -- @part any
else
  -- @part plain
end
-- Whether there is room ------------------------------------------------------------------------
local now_ms
local function now()
  now_ms = now_ms or math.floor(clock(given_now) / 1000)
  return now_ms
end
if #flow_rows > 0 or #becoming > 0 then
  redis.call("HLEN", flow)
end
if #becoming > 0 then
  -- @part tag
end
local has_line = enqueuers_line and redis.call("ZCARD", enqueuers_line) > 0
-- Where it is in line, by its first job, or was, as far as it knows.
local uid = more and ARGV[first + 1] or ARGV[first]
local mine = has_line and uid and places_of({ uid })[uid]
local nth = mine and mine.nth or tonumber(string.match(whose, "^([1-9]%d*) "))
-- How many jobs those have who come before; no more than so many have to be counted.
local function ahead(queue, enough)
  local from, jobs = 0, 0
  repeat
    local uids = line_of(queue, from, 32)
    local places = places_of(uids)
    for _, uid in ipairs(uids) do
      local other = places[uid]
      if jobs > enough or other and nth and other.nth >= nth then
        return jobs
      elseif other and other.till > now() then
        jobs = jobs + other.jobs
      end
    end
    from = from + 32
  until #uids < 32
  return jobs
end
local drops, refused
for _, queue in ipairs(place) do
  queue.n_new = #queue.new + (queue.n_keyed or 0) + (queue.due and #queue.due / 2 or 0)
  if queue.max > 0 and queue.n_new > 0 and not refused then
    local too_many = queue.length + queue.n_new - queue.max
    if queue.when_full == "drop_oldest" then
      if too_many > 0 and too_many <= queue.in_line + queue.n_limited then
        drops, queue.too_many, too_many = true, too_many, 0
      end
    elseif has_line then
      too_many = too_many + ahead(queue.name, -too_many)
    end
    refused = too_many > 0 and queue
  end
end
if refused or drops or has_line then
  for _, key in ipairs({ history, reasons, waits, enqueuers, rooms, stats }) do
    redis.call("HLEN", key)
  end
  for _, key in ipairs({ dead, open, permits }) do
    redis.call("ZCARD", key)
  end
  now()  -- asked for before the first write, or never
end

-- @may
if stays then
  remember(sender, number, stays)
  return { "stays", stays }
end
if refused then
  -- What is answered is remembered: an old copy of this request must not queue anything later.
  if whose ~= "" and refused.when_full == "wait" and refused.n_new <= refused.max then
    -- @may line_up
    local answer
    -- @part line_up
    return { "wait", answer }
  end
  local answer = string.format("full %s %d %d", refused.name, refused.length, refused.n_new)
  remember(sender, number, answer)
  return { "full", answer }
end
if drops then
  -- @may drop
end
if moves then
  -- @may ticked
end
if takes_over then
  -- @may takes_over
end
if has_line then
  -- @may way
end
-- Write -----------------------------------------------------------------------------------
local function put(command, key, list, from, to)
  for at = from or 1, to or #list, 1000 do
    redis.call(command, key, unpack(list, at, math.min(at + 999, to or #list)))
  end
end
put("HSET", jobs, records, first_record, last_record)
if more then
  -- @part more
end
if takes_over and granted > 0 then
  -- @part takes_over
end
if drops then
  -- @part drop
end
put("HSET", flow, flow_rows)
if in_turn then
  -- @part keyed
end
if moves then
  -- @part ticked
end
for q, queue in ipairs(place) do
  put("LPUSH", queue.ready, queue.new)
  if queue.n_new > 0 then
    if not queue.is_rung then
      -- For what is due later, too: an idle engine has to hear when.
      redis.call("LPUSH", queue.bell, "1")
    end
    if is_known[q] == 0 then
      redis.call("SADD", queues, queue.name)
    end
  end
end
if granted > 0 then
  bump(stats, "enqueued", granted)
end
if has_line then
  -- @part way
end
local answer = taken .. found
remember(sender, number, answer)
return { "ok", answer, wait }
