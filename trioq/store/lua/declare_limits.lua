#!lua flags=allow-oom
-- declare_limits: a boot says what its configuration has of limits.
--
-- KEYS  steps     HASH  boot -> its last step
--       limits    HASH  limit, or take -> version:us between two starts:burst:concurrency:keyed
--       declared  HASH  boot -> its limits, a line each: limit:us:burst:concurrency:keyed
--       deployed  HASH  limit -> what was declared of it, a line each: settings, since, gone
--       rooms     HASH  take -> the queues in which somebody waits for it, a line each
--       open      ZSET  queue NUL take, of rooms that may have something to give
-- ARGV  boot      str
--       given_now int   epoch ms, or empty for the server's clock
--       then a line for each limit
-- REPLY ok, queues in which somebody waits for another
--       gone      not registered; nothing changed
--
-- Invariant: what was declared of a limit stands in the order in which that began; gone is -
--   while a boot that lives declares it, and else since when none does. Of each limit what was
--   declared last holds, until no boot that lives has declared it for a minute, or one is started
--   with what is older; and what somebody has set since. Where no boot that lives declares a
--   limit, it limits nothing from then on.
-- Repeat: says nothing new.
-- Cost: O(boots that have limits * limits), and O(takes that somebody waits for, and values with
--   settings of their own) where something has changed.
local steps, limits, declared, deployed, rooms, open = unpack(KEYS, 1, 6)
local boot, given_now = unpack(ARGV, 1, 2)
-- @use changed
-- @use declared
-- @use now

redis.call("HLEN", limits)
redis.call("HLEN", rooms)
redis.call("ZCARD", open)
local now_ms = math.floor(clock(given_now) / 1000)
if redis.call("HEXISTS", steps, boot) == 0 then
  return { "gone" }
end

-- What boots that live declare; most say the same.
local mine = table.concat(ARGV, "\n", 3)
local said, gone = said_last(declared)
local is_new = not said[boot]
local is_news = mine ~= "" and said[boot] ~= mine
gone[#gone + 1] = mine == "" and said[boot] and boot or nil
said[boot] = mine
local texts, alive, own = {}, {}, {}
for _, text in pairs(said) do
  texts[text] = true
end
for text in pairs(texts) do
  for name, settings in string.gmatch(text, "([^:\n]+):([^\n]+)") do
    alive[name] = alive[name] or {}
    alive[name][settings] = true
    own[name] = text == mine and settings or own[name]
  end
end

local before, names, forgotten, kept, changed = {}, {}, {}, {}, {}
local stored = redis.call("HGETALL", deployed)
for s = 1, #stored, 2 do
  before[stored[s]], names[#names + 1] = stored[s + 1], stored[s]
end
for name in pairs(own) do
  names[#names + 1] = not before[name] and name or nil
end
for _, name in ipairs(names) do
  local known = declarations_in(before[name] or "")
  local held = #known > 0 and known[#known].what
  declare(known, alive[name] or {}, own[name], is_new, now_ms)
  local holds, text = #known > 0 and known[#known].what, lines_of(known, now_ms)
  if text == "" then
    forgotten[#forgotten + 1] = name
  elseif text ~= before[name] then
    kept[#kept + 1], kept[#kept + 2] = name, text
  end
  if holds ~= held then
    changed[name] = holds or "0:1:0:0"
  end
end

-- What was set by hand is over. Versions are above whatever somebody sets who doesn't know yet.
local settings, over, newest = {}, {}, {}
local set = next(changed) and redis.call("HGETALL", limits) or {}
for s = 1, #set, 2 do
  local name = string.match(set[s], "^[^:]*")
  if changed[name] then
    local version = tonumber(string.match(set[s + 1], "^(%d+):") or -1)
    newest[name] = math.max(newest[name] or -1, version)
    over[#over + 1] = name ~= set[s] and set[s] or nil
  end
end
for name, each in pairs(changed) do
  local version = 1 + math.max(now_ms, 1 + (newest[name] or -1))
  settings[#settings + 1], settings[#settings + 2] = name, string.format("%d:%s", version, each)
end
-- @may
put("HDEL", declared, gone)
if is_news then
  redis.call("HSET", declared, boot, mine)
end
put("HDEL", deployed, forgotten)
put("HSET", deployed, kept)
if #settings == 0 then
  return { "ok", {} }
end
put("HDEL", limits, over)
put("HSET", limits, settings)
return { "ok", open_changed(changed) }
