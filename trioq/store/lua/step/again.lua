-- again: the last step came a second time; it is answered as it was, and changes nothing.
--
-- A settlement of it that could be accepted now was not in it the first time: what it settled
-- then has left `running` and `packs`, and what it refused is noted.
local refusals = string.match(last, "^[%d+]+ ?(.*)$")  -- and, after a "|", who was cancelled
for i = 1, n_settled do
  if holds[i] and not string.find(refusals, ARGV[uids_at + i], 1, true) then
    return { "changed" }
  end
end
-- Nobody but this engine takes anything out of either, and it sends nothing while this
-- step is unanswered: its claims are still all there.
local entries, mine = redis.call("HGETALL", running), {}
for e = 1, #entries, 2 do
  local step, nth, flag = string.match(entries[e + 1], "^(%d+):(%d+):(s?):")
  if tonumber(step) == number then
    mine[#mine + 1] = { uid = entries[e], nth = tonumber(nth), is_suspect = flag == "s" }
  end
end
for _, pack in ipairs(there) do
  if tonumber(pack.step) == number then
    for uid, nth in claims_in(pack) do
      mine[#mine + 1] = { uid = uid, nth = nth }
    end
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
  claims.takes = has_limits and redis.call("HMGET", took, unpack(claims.uids)) or {}
  claims.tries = redis.call("HMGET", attempts, unpack(claims.uids))
  for i, record in ipairs(redis.call("HMGET", jobs, unpack(claims.uids))) do
    claims.records[i] = record and string.sub(record, 1, RECORD_MAX)
  end
end
n_alone = redis.call("HLEN", running)
if has_limits then
  with_limits.look()
end
return reply("again", refusals)
