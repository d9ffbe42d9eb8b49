-- @use bump
-- @use forget
-- @use summarise
-- These jobs end because somebody doesn't want them any more; they have left wherever they were.
local function end_cancelled(uids, keeps_ms, summaries, now_ms, retention_ms)
  if #uids == 0 then
    return
  end
  local told = { ends = {}, values = summaries, keeps_ms = keeps_ms }
  for i = 1, #uids do
    told.ends[i] = "cancelled"
  end
  forget(uids, "cancelled", now_ms, retention_ms, nil, told)
  summarise(table.concat(summaries, "\n"), #uids)
  bump(stats, "cancelled", #uids)
end
