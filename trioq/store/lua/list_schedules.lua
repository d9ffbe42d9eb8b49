#!lua flags=allow-oom
-- list_schedules: a boot says which schedules its configuration and its app list.
--
-- KEYS  steps      HASH  boot -> its last step
--       schedules  HASH  name -> what it says of itself
--       ticks      ZSET  name -> its next tick, epoch ms
--       listing    HASH  boot -> the digest of its list, and whose it is
--       lists      HASH  app -> whose list is put, then its deployments, a line each
--       owners     HASH  name -> the app that lists it, or did
--       unlisted   HASH  name -> since when it isn't listed any more, and since when it is retired
-- ARGV  boot       str
--       given_now  int   epoch ms, or empty for the server's clock
--       app        str
--       digest     str   of all that it lists
--       told       int   1: what it lists follows; 0: it is told if it is asked for
--       then of each: name; what it says of itself; its next tick, epoch ms, 0: none
-- REPLY ok, what isn't listed any more; names that others have
--       rows, what isn't listed any more: the list holds, and is asked for
--       older, what isn't listed any more: another list holds
--       gone      not registered; nothing changed
--
-- Invariant: of each app the newest list holds that a boot lives with, or did less than a minute
--   ago, unless one is started with what is older. What it doesn't list makes no ticks after an
--   hour. What somebody else has put stays as it is, and the list is asked for until nobody else
--   has any of it. An app without any leaves no trace but in listing. A tick that has come stays,
--   but of what is retired.
-- Repeat: says nothing new, and is answered alike: of what isn't listed any more, for an hour, and
--   then of what is retired, for another; of a thousand at most: name; since, and retired or -.
-- Cost: O(boots + what isn't listed any more), and O(schedules) where another list holds.
local steps, schedules, ticks, listing, lists, owners, unlisted = unpack(KEYS, 1, 7)
local boot, given_now, app, digest, told = unpack(ARGV, 1, 5)
-- @use declared
-- @use now
local RETIRED_AFTER, TOLD_FOR, TOLD_MAX = 3600000, 3600000, 1000

-- @types but schedules, owners
local now_ms = math.floor(clock(given_now) / 1000)
if redis.call("HEXISTS", steps, boot) == 0 then
  return { "gone" }
end

-- Which lists boots live with.
local mine, alive = digest .. " " .. app, {}
local said, gone = said_last(listing)
local is_new, is_news = not said[boot], said[boot] ~= mine
said[boot] = mine
for _, text in pairs(said) do
  local its, whose = string.match(text, "^(%S+) (.*)$")
  alive[its] = alive[its] or whose == app
end

local before = redis.call("HGET", lists, app)
local is_unheard_of = not before and digest == "-"
-- Who has said so, and lives, is of an older deployment than the first one with a list.
before = before or string.format(alive["-"] and "-\n- %d -" or "-", now_ms)
local held = string.match(before, "^[^\n]*")
local known = declarations_in(string.sub(before, #held + 2))
declare(known, alive, digest, is_new, now_ms)
local holds = known[#known].what == digest
local is_asked_for = holds and held ~= digest
local is_put = is_asked_for and told == "1"

-- Of what isn't listed any more.
local ends, noted, retired = {}, {}, {}
local left = redis.call("HGETALL", unlisted)
for u = 1, #left, 2 do
  ends[left[u]] = left[u + 1]
  local since = tonumber(string.match(left[u + 1], "^(%d+) %-$") or nil)
  if since and now_ms - since >= RETIRED_AFTER then
    retired[#retired + 1] = left[u]
    ends[left[u]] = string.format("%d %d", since, now_ms)
    noted[#noted + 1], noted[#noted + 2] = left[u], ends[left[u]]
  end
end

local taken, names = {}, {}
local rows, owned, back, come, off = {}, {}, {}, {}, {}
if is_put then
  local whose, has, at = {}, {}, {}
  local all = redis.call("HGETALL", owners)
  for o = 1, #all, 2 do
    whose[all[o]] = all[o + 1]
  end
  all = redis.call("HGETALL", schedules)
  for s = 1, #all, 2 do
    has[all[s]] = all[s + 1]
  end
  for a = 6, #ARGV, 3 do
    local name, row, following = ARGV[a], ARGV[a + 1], ARGV[a + 2]
    names[name] = true
    if has[name] and whose[name] ~= app and not (whose[name] and ends[name]) then
      taken[#taken + 1] = name
    else
      local is_retired = ends[name] and not string.find(ends[name], " -", 1, true)
      local tick = not is_retired and tonumber(redis.call("ZSCORE", ticks, name) or nil)
      if (has[name] ~= row or is_retired) and not (tick and tick <= now_ms) then
        if following == "0" then
          off[#off + 1] = name
        else
          come[#come + 1], come[#come + 2] = following, name
        end
      end
      if has[name] ~= row then
        rows[#rows + 1], rows[#rows + 2] = name, row
      end
      owned[#owned + 1], owned[#owned + 2] = name, app
      back[#back + 1] = ends[name] and name or nil
      ends[name] = nil
    end
  end
  for name, its in pairs(whose) do
    if its == app and not names[name] and not ends[name] then
      ends[name] = string.format("%d -", now_ms)
      noted[#noted + 1], noted[#noted + 2] = name, ends[name]
    end
  end
  held = (#taken > 0 and "~" or "") .. digest
end
local after = held .. "\n" .. lines_of(known, now_ms)

-- What is told of that.
local recent, news = {}, {}
for name, times in pairs(ends) do
  local at = string.match(times, "^%d+ (%S+)$")
  if at == "-" or now_ms - (tonumber(at) or 0) < TOLD_FOR then
    recent[#recent + 1] = name
  end
end
table.sort(recent)
for n = 1, math.min(#recent, TOLD_MAX) do
  news[2 * n - 1], news[2 * n] = recent[n], ends[recent[n]]
end
-- @may
put("HDEL", listing, gone)
if is_news then
  redis.call("HSET", listing, boot, mine)
end
if is_unheard_of then
  return { "ok", {}, {} }
end
if after ~= before then
  redis.call("HSET", lists, app, after)
end
put("ZREM", ticks, retired)
put("HSET", unlisted, noted)
if is_asked_for and not is_put then
  return { "rows", news }
elseif not holds then
  return { "older", news }
elseif not is_put then
  return { "ok", news, {} }
end
put("HSET", schedules, rows)
put("HSET", owners, owned)
put("HDEL", unlisted, back)
put("ZREM", ticks, off)
put("ZADD", ticks, come)
return { "ok", news, taken }
