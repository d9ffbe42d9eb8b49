-- again: the last step came a second time; it is answered as it was, and changes nothing.
--
-- A settlement of it that could be accepted now was not in it the first time: what it settled
-- then has left `running`, and what it refused is noted.
local refusals = string.match(last, "^%d+ ?(.*)$")  -- and, after a "|", who was cancelled
local i = 0
for r = runs_at + 1, runs_at + 2 * n_runs, 2 do
  local claim = ARGV[r] .. ":"
  for _ = 1, ARGV[r + 1] do
    i = i + 1
    local is_held = holds[i] and string.sub(holds[i], 1, #claim) == claim
    if is_held and not string.find(refusals, ARGV[uids_at + i], 1, true) then
      return { "changed" }
    end
  end
end
-- Nobody but this engine takes anything out of its `running`, and it sends nothing while this
-- step is unanswered: its claims are still all there.
local entries, mine = redis.call("HGETALL", running), {}
for e = 1, #entries, 2 do
  local step, nth, flag = string.match(entries[e + 1], "^(%d+):(%d+):(s?):")
  if tonumber(step) == number then
    mine[#mine + 1] = { uid = entries[e], nth = tonumber(nth), is_suspect = flag == "s" }
  end
end
table.sort(mine, function(a, b) return a.nth < b.nth end)
for i, claim in ipairs(mine) do
  claims.uids[i] = claim.uid
  if claim.is_suspect then
    table.insert(claims.suspects, claim.uid)
  end
end
if #mine > 0 then
  claims.tries = redis.call("HMGET", attempts, unpack(claims.uids))
  for i, record in ipairs(redis.call("HMGET", jobs, unpack(claims.uids))) do
    claims.records[i] = record and string.sub(record, 1, RECORD_MAX)
  end
end
held = redis.call("HLEN", running)
return reply("again", refusals)
