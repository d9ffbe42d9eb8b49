-- keyed: jobs with a fair key, and whose turn it is.
--
-- It only makes functions, for who comes by here when there are such jobs.
-- @use keyed_back
-- @use tagged
-- Back to their turns; returns the claims that have none.
function keyed_returned(claimed)
  local others = keyed_back(claimed)
  for _, claim in ipairs(claimed) do
    if claim.is_keyed then
      claim.queue.n_keyed = claim.queue.n_keyed + 1
    end
  end
  return others
end

-- What is due becomes ready, behind the others of its key; returns who has none.
function keyed_promoted(queue, due)
  local becoming = {}
  for i, row in ipairs(redis.call("HMGET", flow, unpack(due))) do
    becoming[i] = { uid = due[i], queue = queue.name, row = row or nil }
  end
  local found = tagged(becoming)
  if #found.members > 0 then
    redis.call("ZADD", fair, unpack(found.members))
    redis.call("HSET", flow, unpack(found.rows))
    redis.call("HSET", turns, unpack(found.moved))
    queue.n_keyed = queue.n_keyed + found.n_keyed
  end
  return found.others
end

-- Take out whose turn it is: uids, and the tags of those that have a key.
function pop_turns(queue, wanted)
  local name, tags, uids = queue.name, {}, {}
  local first, last = range_of(name)
  local members = redis.call("ZRANGEBYLEX", fair, first, last, "LIMIT", 0, wanted)
  if not queue.now then
    local times = redis.call("HMGET", turns, name, name .. "\0")
    queue.now, queue.plain_end = tag_number(times[1] or nil), tag_number(times[2] or nil)
  end
  local now, plain_end, n_plain, n_keyed = queue.now, queue.plain_end, 0, 0
  local tag_at = #name + 2
  local function of_next()
    local member = members[n_keyed + 1]
    if member and string.byte(member, tag_at + TAG_LENGTH) == 0 then
      local tag = string.sub(member, tag_at, tag_at + TAG_LENGTH - 1)
      return tag_number(tag), string.sub(member, tag_at + TAG_LENGTH + 1)
    end
    local tag, uid = string.match(member or "", "^[^%z]*%z(%x+)%z(.*)$")
    return tag and tag_number(tag), uid
  end
  local tag, uid = of_next()
  for i = 1, math.min(wanted, queue.n_ready + #members) do
    local starts = now > plain_end and now or plain_end
    if n_plain < queue.n_ready and (not tag or starts <= tag) then
      n_plain, now, plain_end = n_plain + 1, starts, starts + TURN
      uids[i] = false
    else
      uids[i], tags[i], now = uid, tag, tag > now and tag or now
      n_keyed = n_keyed + 1
      tag, uid = of_next()
    end
  end
  local plain, p = n_plain > 0 and redis.call("RPOP", queue.ready, n_plain) or {}, 0
  for i = 1, n_plain > 0 and #uids or 0 do
    if not uids[i] then
      p = p + 1
      uids[i] = plain[p]
    end
  end
  if n_keyed > 0 then
    redis.call("ZREM", fair, unpack(members, 1, n_keyed))
    queue.took_keyed = true
  end
  queue.n_ready, queue.n_keyed = queue.n_ready - n_plain, queue.n_keyed - n_keyed
  return uids, tags
end

-- It was this one's turn; no tag: it has no key.
function had_turn(queue, tag)
  if not tag then
    tag = math.max(queue.now, queue.plain_end)
    queue.plain_end, queue.plain_moved = tag + TURN, true
  end
  queue.now, queue.moved = math.max(queue.now, tag), true
end

function put_turns_back(queue, uids, tags)
  local members = {}
  for i, uid in ipairs(uids) do
    members[#members + 1] = "0"
    members[#members + 1] = queue.name .. "\0" .. tag_text(tags[i]) .. "\0" .. uid
  end
  redis.call("ZADD", fair, unpack(members))
  queue.n_keyed = queue.n_keyed + #uids
end

-- How far each queue has come; and a few keys that are through are forgotten.
function note_turns()
  local moved = {}
  for _, queue in pairs(queues) do
    local is_empty = queue.took_keyed and queue.n_keyed == 0
    if is_empty then
      queue.now = queue.now + LONGEST  -- whoever had a turn too many has it forgiven
    end
    if queue.moved or is_empty then
      moved[#moved + 1], moved[#moved + 2] = queue.name, tag_text(queue.now)
    end
    if queue.plain_moved then
      moved[#moved + 1], moved[#moved + 2] = queue.name .. "\0", tag_text(queue.plain_end)
    end
  end
  if #moved > 0 then
    redis.call("HSET", turns, unpack(moved))
  elseif #claims.uids > 0 then
    return
  end
  local some, over = redis.call("HRANDFIELD", turns, 8, "WITHVALUES"), {}
  for s = 1, #some, 2 do
    local name = string.match(some[s], "^([^%z]*)%z")
    local now = name and tag_number(redis.call("HGET", turns, name) or nil)
    if name and tag_number(string.match(some[s + 1], "^%x+")) <= now then
      over[#over + 1] = some[s]
    end
  end
  if #over > 0 then
    redis.call("HDEL", turns, unpack(over))
  end
end
