-- @use bump
-- Of the last jobs that ended a summary is kept, those of some that ended together in one text, a
-- line for each. Behind them stands how many had ended by then: so it can be told of the oldest
-- whether as many as shall be kept are newer, and nobody has to look into them.
local function is_kept(lines)
  return keep_done > 0 and string.find(lines, "[^\n]")
end
-- Where somebody else wrote what is no counter, it begins anew.
local function raised(counted, more)
  local before = #(counted or "") <= 15 and string.match(counted or "", "^%d+$") or 0
  return string.format("%d", before + more)
end
-- Take away what is too old. Where many are kept, who writes every 32nd looks for all.
local function trim(count, counted)
  if keep_done >= 512 and counted % 32 >= count then
    return
  end
  local function by_then(nth)
    return tonumber(redis.call("LINDEX", done, 1 - 2 * nth) or "")
  end
  local function is_old(before)
    return before > counted or counted - before >= keep_done
  end
  for _ = 0, count do
    local before, nth = by_then(1), 1
    if not before then
      -- What isn't a number is a summary by itself, as once all were.
      redis.call("LTRIM", done, 0, -2)
    elseif is_old(before) then
      -- And so are those before it that are looked at: twice as many each time.
      while nth < 64 and is_old(by_then(2 * nth) or counted) do
        nth = 2 * nth
      end
      redis.call("LTRIM", done, 0, -1 - 2 * nth)
    else
      return
    end
  end
end
local function keep(lines, count, counted)
  redis.call("LPUSH", done, counted, lines)
  trim(count, tonumber(counted))
end
local function summarise(lines, count)
  if is_kept(lines) then
    keep(lines, count, string.format("%d", bump(stats, "summaries", count)))
  end
end
