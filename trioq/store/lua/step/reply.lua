-- reply: the answer, from what the step has read, claimed and left.
function reply(word, refusals)
  local claimed, records, tries, flags = {}, {}, {}, {}
  for i, claim in ipairs(claims) do
    local record = claim.record
    if record and #record > 1048576 then
      -- None of ours: so much of it is enough to see that, and nobody has to wait for the rest.
      record = string.sub(record, 1, 1048576)
    end
    claimed[i], flags[i], records[i] = claim.uid, claim.suspect, record
  end
  if #claimed > 0 then
    tries = redis.call("HMGET", attempts, unpack(claimed))
  end
  local left, next_due = 0, -1
  for _, queue in ipairs(queues) do
    if not is_paused[queue.name] then
      left = left + queue.n_ready
    end
    local first = queue.first[2] and tonumber(queue.first[2])
    if first and (next_due < 0 or first - now_ms < next_due) then
      next_due = math.max(0, first - now_ms)
    end
  end
  local held = redis.call("HLEN", running)
  local version = redis.call("HGET", stats, "parked_version") or "0"
  local index = version ~= known and redis.call("HKEYS", parked) or false
  return { word, refusals, claimed, records, tries, flags, held, left, next_due, version, index }
end
