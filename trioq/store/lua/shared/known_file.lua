-- All that is remembered of these paths: their marks, if they are of the files that were enqueued
-- last. An older version, which writes the short one only, leaves that of the file before.
local function short_of(mark)
  return string.match(mark, "^[^:]*:[^:]*") or mark
end
local function known_files(paths)
  local known, fields = {}, {}
  for p, path in ipairs(paths) do
    fields[p], fields[#paths + p] = path, "\0" .. path
  end
  local found = #paths > 0 and redis.call("HMGET", seen, unpack(fields))
  for p, path in ipairs(paths) do
    local short, mark = found[p], found[#paths + p]
    local is_its = short and mark and string.sub(mark, 1, #short + 1) == short .. ":"
    known[path] = is_its and mark or short or nil
  end
  return known
end
