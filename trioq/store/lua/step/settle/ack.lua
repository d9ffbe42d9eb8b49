-- ack: the job is done: its record goes, a summary stays.
--
-- MOVE  running -> done
-- KEYS  big, reaps, history, reasons, id_of, ids, ended
--       done      LIST  summaries, newest first
-- ARGV  summary
-- @use forget
redis.call("LLEN", done)
local more = redis.call("EXISTS", big, attempts, reaps, history, reasons, id_of)
if more > 0 then
  now()
  -- @types but done
end
-- @may
return {
  fields = 1,
  write = function(uids, _, summaries)
    forget(uids, "done", now_ms, retention, more)
    local told, n = {}, 0
    for _, summary in ipairs(summaries) do
      if summary ~= "" then
        n = n + 1
        told[n] = summary
      end
    end
    if n > 0 and keep_done > 0 and redis.call("LPUSH", done, unpack(told)) > keep_done then
      redis.call("LTRIM", done, 0, keep_done - 1)
    end
    bump(stats, "done", #uids)
  end,
}
