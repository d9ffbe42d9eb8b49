-- reply: the answer, from what the step has read, claimed and left.
function reply(word, refusals)
  local left, next_due = 0, -1
  for q = 1, n_queues do
    local queue = queues[q]
    if queue then
      if not is_paused[queue.name] then
        left = left + queue.n_ready
      end
      local first = queue.first[2] and queue.first[2] * 1000 - now_us
      if first and (next_due < 0 or first < next_due) then
        next_due = math.max(0, first)
      end
    end
  end
  local index = version ~= known and redis.call("HKEYS", parked) or false
  return { word, refusals, claims.uids, claims.records, claims.tries, claims.suspects, held, left,
           next_due, version, index }
end
