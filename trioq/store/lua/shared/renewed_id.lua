-- @use kept_id
-- What lies beside a job's id from now on. `said` is the id, or `id NUL after_end cooldown max_wait`;
-- of what lay there before, the latest time stays, and until when it is remembered if nothing new is
-- said of that. Returns the id and the latest time, too.
local function renewed_id(said, before, now_ms)
  local id, after_end, cooldown, max_wait = kept_id(said)
  local _, _, till, latest = kept_id(before)
  till = cooldown and now_ms + cooldown or till
  latest = latest or max_wait and now_ms + max_wait
  if not (after_end or till or latest) then
    return id, id
  end
  local function text(ms)
    return ms and string.format("%d", ms) or "-"
  end
  return id .. "\0" .. text(after_end) .. " " .. text(till) .. " " .. text(latest), id, latest
end
