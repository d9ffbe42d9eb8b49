-- reply: the answer, from what the step has read, claimed and left.
-- How many asks the boot was sent; then those that it doesn't know, in order: uid, step, summary. Of
-- quiet ones it isn't told.
local function news()
  local told, new, known = { n_asked }, {}, tonumber(asked_known)
  local flat = n_asked ~= "0" and redis.call("HGETALL", asks) or {}
  for a = 1, #flat, 2 do
    local nth, step, summary = string.match(flat[a + 1], "^(%d+):(%d+):%d+:(.*)$")
    if nth and nth ~= "0" and (tonumber(nth) > known or known > tonumber(n_asked)) then
      new[#new + 1] = { nth = tonumber(nth), uid = flat[a], step = step, summary = summary }
    end
  end
  table.sort(new, function(a, b) return a.nth < b.nth end)
  for _, ask in ipairs(new) do
    told[#told + 1], told[#told + 2], told[#told + 3] = ask.uid, ask.step, ask.summary
  end
  return told
end
-- A letter for each claim, if it is known of any what it had waited for: f, its turn; l, a limit.
local function waits()
  local told = {}
  for i = 1, next(claims.waits) and #claims.uids or 0 do
    told[i] = claims.waits[i] or "-"
  end
  return table.concat(told)
end
function reply(word, refusals)
  local left, next_due = 0, -1
  for q = 1, n_queues do
    local queue = queues[q]
    if queue then
      if not is_paused[queue.name] then
        left = left + queue.n_ready + queue.n_keyed + queue.n_open
      end
      local first = queue.first[2] and queue.first[2] * 1000 - now_us
      if first and (next_due < 0 or first < next_due) then
        next_due = math.max(0, first)
      end
    end
  end
  local permit = has_limits and with_limits.next_due()
  if permit then
    local due = math.max(0, permit * 1000 - now_us)
    next_due = next_due < 0 and due or math.min(due, next_due)
  end
  local noted = has_notes and #claims.uids > 0 and redis.call("HMGET", notes, unpack(claims.uids)) or {}
  for i, note in ipairs(noted) do
    noted[i] = note and #note <= 20000 and note  -- what is longer is none of ours
  end
  local index = version ~= known and redis.call("HKEYS", parked) or false
  local names = index and {}
  for name in pairs(index and is_paused or {}) do
    names[#names + 1] = string.match(name, "^@(.*)$")
  end
  return { word, refusals, claims.uids, claims.records, claims.tries, claims.suspects, n_alone + n_packed,
           left, next_due, version, index, n_asked ~= asked_known and news() or false, noted,
           names, claims.takes, waits(), claims.behind,
           has_limits and word == "ok" and with_limits.wake() or {} }
end
