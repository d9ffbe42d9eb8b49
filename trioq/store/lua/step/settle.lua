-- settle: each verb takes what it settles, then writes it.
--
-- Refused is whose claim is another by now, and who was claimed from a queue that this step
-- doesn't name: it would have nowhere to go.
local gone_uids, is_settled, taken = {}, {}, {}
for _, group in ipairs(groups) do
  local verb, before = group.verb, #gone_uids
  for i = group.first, group.last do
    local uid, a = uids[i], at[i]
    local step, nth, flag, from = string.match(holds[i] or "", "^(%d+):(%d+):(s?):(.*)$")
    if step ~= ARGV[a + 1] or not place[from] or is_settled[uid] then
      refused[#refused + 1] = uid
    else
      is_settled[uid] = true
      gone_uids[#gone_uids + 1] = uid
      verb.take(uid, a + 2, place[from], step, nth, flag)
    end
  end
  if #gone_uids > before then
    taken[#taken + 1] = verb
  end
end
if #gone_uids > 0 then
  redis.call("HDEL", running, unpack(gone_uids))
end
for _, verb in ipairs(taken) do
  verb.write()
end
