-- @use tell
-- Tell how these jobs ended, and keep that for as long as is wanted; where somebody waited, for a
-- minute at least, as the message may be missed.
local function finished(uids, ends, values, keeps_ms, now_ms)
  local waited, kept, due = tell(uids, ends, values), {}, {}
  for i, uid in ipairs(uids) do
    local keep_ms = math.max(keeps_ms and tonumber(keeps_ms[i]) or 0, waited[i] and 60000 or 0)
    if keep_ms > 0 then
      kept[#kept + 1], kept[#kept + 2] = uid, ends[i] .. " " .. (values and values[i] or "")
      due[#due + 1], due[#due + 2] = string.format("%d", now_ms + keep_ms), uid
    end
  end
  if #kept > 0 then
    redis.call("HSET", results, unpack(kept))
    redis.call("ZADD", results_due, unpack(due))
  end
end
