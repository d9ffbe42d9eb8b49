-- Whether a take lets nobody start, whatever the time: it is paused, or as many hold it as may.
-- @use limits_of
local paused_takes = {}
for what in pairs(is_paused) do
  paused_takes[string.match(what, "^=(.*)$") or ""] = true
end
local function is_shut(limit)
  return paused_takes[limit.take] or is_full(limit)
end
