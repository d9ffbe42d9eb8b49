-- again: the last step came a second time; it is answered as it was, and changes nothing.
--
-- A settlement of it that could be accepted now was not in it the first time: what it settled
-- then has left `running`, and what it refused is noted.
local refusals = string.match(last, "^%d+ ?(.*)$")
for i, uid in ipairs(uids) do
  local is_held = holds[i] and string.match(holds[i], "^%d+") == ARGV[at[i] + 1]
  if is_held and not string.find(refusals, uid, 1, true) then
    return { "changed" }
  end
end
-- Nobody but this engine takes anything out of its `running`, and it sends nothing while this
-- step is unanswered: its claims are still all there.
local entries, mine = redis.call("HGETALL", running), {}
for e = 1, #entries, 2 do
  local step, nth, flag = string.match(entries[e + 1], "^(%d+):(%d+):(s?):")
  if tonumber(step) == number then
    mine[#mine + 1] = { uid = entries[e], nth = tonumber(nth), suspect = flag }
  end
end
table.sort(mine, function(a, b) return a.nth < b.nth end)
local claimed = {}
for i, claim in ipairs(mine) do
  claimed[i] = claim.uid
end
for i, record in ipairs(#claimed > 0 and redis.call("HMGET", jobs, unpack(claimed)) or {}) do
  mine[i].record = record
end
claims = mine
return reply("again", refusals)
