-- @use bump
-- Of the last jobs that ended a summary is kept, those of some that ended together in one text, a
-- line for each. Behind them stands how many had ended by then: so it can be told of the oldest
-- whether as many as shall be kept are newer, and nobody has to look into them. `oldest`: what is
-- at that end, where it has been read.
local function is_kept(lines)
  return keep_done > 0 and string.find(lines, "[^\n]")
end
local function keep(lines, count, counted, oldest)
  redis.call("LPUSH", done, string.format("%d", counted), lines)
  for n = 0, count do
    oldest = n == 0 and oldest or redis.call("LINDEX", done, -1)
    local by_then = tonumber(oldest or "")
    if not oldest or by_then and by_then <= counted and counted - by_then < keep_done then
      return
    end
    -- What isn't a number is a summary by itself, as once all were.
    redis.call("LTRIM", done, 0, by_then and -3 or -2)
  end
end
local function summarise(lines, count)
  if is_kept(lines) then
    keep(lines, count, bump(stats, "summaries", count))
  end
end
