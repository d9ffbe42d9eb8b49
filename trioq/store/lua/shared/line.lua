-- @use range
-- Who waits for room in a queue lies in one order of all queues, and is known by the uid of the
-- first job that it would enqueue.
local function in_line(queue, nth, uid)
  return queue .. "\0" .. string.format("%016d", nth) .. "\0" .. uid
end
-- The places of these, by their uids; of who has none, nothing.
local function places_of(uids)
  local places = {}
  for i, value in ipairs(#uids > 0 and redis.call("HMGET", enqueuers, unpack(uids)) or {}) do
    local nth, till, tried, jobs, most, client, queue, id =
      string.match(value or "", "^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (.*)$")
    places[uids[i]] = nth and { nth = tonumber(nth), till = tonumber(till), tried = tonumber(tried),
                                jobs = tonumber(jobs), most = tonumber(most), client = client,
                                queue = queue, id = id } or nil
  end
  return places
end
local function as_kept(place)
  return string.format("%d %d %d %d %d %s %s ", place.nth, place.till, place.tried, place.jobs, place.most,
    place.client, place.queue) .. place.id
end
-- The uids in a queue's line, the first one first.
local function line_of(queue, from, limit)
  local first, last = range_of(queue)
  local members, uids = redis.call("ZRANGEBYLEX", enqueuers_line, first, last, "LIMIT", from, limit), {}
  for i, member in ipairs(members) do
    uids[i] = string.sub(member, #queue + 19)
  end
  return uids, members
end
-- The first ones of a line, without those who haven't asked for themselves for too long: these go.
local function first_ones(queue, now_ms)
  local uids, members = line_of(queue, 0, 32)
  local places, first, gone, names = places_of(uids), {}, {}, {}
  for i, uid in ipairs(uids) do
    local place = places[uid]
    if place and place.till > now_ms then
      place.uid = uid
      first[#first + 1] = place
    else
      gone[#gone + 1], names[#names + 1] = members[i], uid
    end
  end
  if #gone > 0 then
    redis.call("ZREM", enqueuers_line, unpack(gone))
    redis.call("HDEL", enqueuers, unpack(names))
  end
  return first
end
