-- ack: the job is done: its record goes, a summary stays.
--
-- MOVE  running -> done
-- KEYS  big, reaps, history, reasons, id_of, ids, ended
--       done      LIST  summaries, newest first
-- ARGV  summary
-- @use forget
local acked, summaries = {}, {}
return {
  fields = 1,
  take = function(uid, at)
    acked[#acked + 1] = uid
    if ARGV[at] ~= "" then
      summaries[#summaries + 1] = ARGV[at]
    end
  end,
  write = function()
    forget(acked, "done", now_ms, retention)
    if #summaries > 0 and keep_done > 0 then
      redis.call("LPUSH", done, unpack(summaries))
      redis.call("LTRIM", done, 0, keep_done - 1)
    end
    bump(stats, "done", #acked)
  end,
}
