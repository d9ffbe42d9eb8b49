-- A history keeps its first 5 and last 20 lines, and between them how many were left out.
-- One of several MiB is none of ours: it would be copied each time.
local function appended(old, line)
  if not old or #old > 8388608 then
    return line
  end
  local lines = {}
  for each in string.gmatch(old .. "\n" .. line, "[^\n]+") do
    lines[#lines + 1] = each
  end
  local omitted = tonumber(string.match(lines[6] or "", '^{"omitted":(%d+)}$'))
  if omitted and #lines > 26 then
    table.remove(lines, 7)
    lines[6] = string.format('{"omitted":%d}', omitted + 1)
  elseif not omitted and #lines > 25 then
    lines[6] = '{"omitted":1}'
  end
  return table.concat(lines, "\n")
end
-- Write a line into each job's history; an empty one tells nothing.
local function note(uids, lines)
  local written = {}
  for i, old in ipairs(redis.call("HMGET", history, unpack(uids))) do
    if lines[i] ~= "" then
      written[#written + 1], written[#written + 2] = uids[i], appended(old, lines[i])
    end
  end
  if #written > 0 then
    redis.call("HSET", history, unpack(written))
  end
end
