#!lua flags=allow-oom
-- note_files: how files are that were enqueued, as a producer has just found them.
--
-- KEYS  seen      HASH  path -> size:mtime_ns; NUL and path -> the mark
-- ARGV  after     int   ms after which a path is forgotten whose file is gone
--       given_now int   epoch ms, or empty for the server's clock
--       then for each: path, what is remembered of it as it was read, what is to be,
--       gone or there
-- REPLY ok, how many of those that are gone are forgotten, by now or before
--
-- Invariant: who finds a file gone for the first time notes when; it is forgotten by who finds it
--   gone after that long, and reads the same note. What was enqueued, or found to be there,
--   meanwhile has another, and stays.
-- Repeat: what is remembered has changed, so nothing happens. A late copy may note a file as gone
--   that is back: the next look at it takes that away.
-- Cost: O(files).
local seen = unpack(KEYS, 1, 1)
local after, given_now = unpack(ARGV, 1, 2)
-- @use known_file
-- @use now

redis.call("HLEN", seen)
local paths, marks = {}, {}
for a = 3, #ARGV - 3, 4 do
  paths[#paths + 1] = ARGV[a]
end
local known, now_ms = known_files(paths), math.floor(clock(given_now) / 1000)
local forgotten, n_forgotten = {}, 0
for f, path in ipairs(paths) do
  local before, kept, how = unpack(ARGV, 4 * f, 4 * f + 2)
  local since = tonumber(string.match(before, "^[^:]*:[^:]*:[^:]*:(%d+)$"))
  if not known[path] then
    n_forgotten = n_forgotten + (how == "gone" and 1 or 0)
  elseif known[path] ~= before then
    -- Somebody else has found it, and later.
  elseif how == "there" then
    marks[#marks + 1], marks[#marks + 2] = "\0" .. path, kept
  elseif not since or since > now_ms then
    marks[#marks + 1], marks[#marks + 2] = "\0" .. path, string.format("%s:%d", kept, now_ms)
  elseif now_ms - since >= tonumber(after) then
    forgotten[#forgotten + 1], n_forgotten = path, n_forgotten + 1
  end
end

-- @may
if #marks > 0 then
  redis.call("HSET", seen, unpack(marks))
end
for _, path in ipairs(forgotten) do
  redis.call("HDEL", seen, path, "\0" .. path)
end
return { "ok", n_forgotten }
