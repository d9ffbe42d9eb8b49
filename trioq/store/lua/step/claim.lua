-- claim: in each queue a suspect, then what waited at doors now open, then the rest.
--
-- MOVE  ready -> running
local uids, lots = {}, {}  -- a lot: up to where in `uids`, and where those came from
local tag_of = {}  -- by the place in `uids`, of those that have a fair key
local function pop(key, count, queue, door, flag)
  if count <= 0 then
    return 0
  end
  local popped = redis.call("RPOP", key, string.format("%d", count)) or {}
  local before = #uids
  if before == 0 then
    uids = popped
  else
    for i, uid in ipairs(popped) do
      uids[before + i] = uid
    end
  end
  lots[#lots + 1] = { last = #uids, queue = queue, origin = key, door = door, flag = flag }
  return #popped
end

-- As they lie together; nil, if one has a uid that none of ours has, and would be taken for others.
local function as_pack(uids, from, till)
  local pack = table.concat(uids, " ", from, till)
  local has_space = string.find(table.concat(uids, "", from, till), " ", 1, true)
  if not has_space and not string.find(" " .. pack .. " ", "  ", 1, true) then
    return pack
  end
end

local DIGITS = { "1", "2", "3", "4", "5", "6", "7", "8", "9", [0] = "0" }

local wanted = want
local may_take_suspect = suspect == "1"
for q = 1, n_queues do
  local queue = queues[q]
  if queue and wanted > 0 and not is_paused[queue.name] then
    if may_take_suspect and queue.n_suspects > 0 then
      wanted = wanted - pop(queue.suspects, 1, queue, nil, "s")
      queue.n_suspects = queue.n_suspects - 1
      may_take_suspect = false
      suspects_moved = true  -- other engines may have one, too
    end
    for _, door in ipairs(queue.doors) do
      if door.length > 0 then
        local popped = pop(door.key, math.min(door.limit, wanted), queue, door, "")
        door.length, door.popped = door.length - popped, popped
        wanted = wanted - popped
      end
    end
    if queue.n_keyed > 0 and wanted > 0 then
      local popped, tags = pop_turns(queue, wanted)
      for i, uid in ipairs(popped) do
        uids[#uids + 1] = uid
        tag_of[#uids] = tags[i]
      end
      lots[#lots + 1] = { last = #uids, queue = queue, origin = queue.ready, flag = "", in_turn = true }
      wanted, queue.has_left = wanted - #popped, #popped > 0
    elseif queue.n_ready > 0 then
      local popped = pop(queue.ready, wanted, queue, nil, "")
      queue.n_ready, queue.has_left = queue.n_ready - popped, popped > 0
      wanted = wanted - popped
    end
  end
end

if #uids > 0 then
  local claimed, kept, alone, together, back = claims.uids, claims.records, {}, {}, {}
  local n, bytes, is_full, first = 0, 0, false, 1
  local admitted = {}
  local records = redis.call("HMGET", jobs, unpack(uids))
  for _, lot in ipairs(lots) do
    local before = n
    for i = first, lot.last do
      local uid, record = uids[i], records[i]
      if not record then
        -- It was cancelled where it lay, and is counted there; else nobody can say what it was.
        if lot.door and redis.call("SREM", lot.door.dropped, uid) == 1 then
          -- and of those behind doors, nobody asks how many.
        elseif redis.call("SREM", lot.queue.dropped, uid) == 0 then
          redis.pcall("LPUSH", strays, uid)
          bump(stats, "strays", 1)
        else
          lot.queue.n_dropped = lot.queue.n_dropped - 1
        end
      elseif is_full or n > 0 and bytes + #record > max_bytes then
        is_full = true  -- and whatever comes after it waits too, so that nothing is overtaken
        back[#back + 1] = { uid = uid, lot = lot, tag = tag_of[i] }
      else
        bytes = bytes + #record  -- the first is claimed however large: it would never be smaller
        n = n + 1
        claimed[n] = uid
        if lot.in_turn then
          had_turn(lot.queue, tag_of[i])
        end
        kept[n] = #record > RECORD_MAX and string.sub(record, 1, RECORD_MAX) or record
        if lot.door then
          admitted[#admitted + 1] = uid
        elseif lot.flag == "s" then
          table.insert(claims.suspects, uid)
        end
      end
    end
    for from = before + 1, n, pack_max do
      local till = math.min(from + pack_max - 1, n)
      local pack = enough(till - from + 1) and as_pack(claimed, from, till)
      if pack then
        together[#together + 1] = claims_of .. from .. ":" .. lot.queue.name
        together[#together + 1] = till - from + 1 .. ":" .. pack
        n_packed = n_packed + till - from + 1
      end
      -- Of places only the last digit is new each time: to format each would cost more.
      local tens, behind = nil, ":" .. lot.flag .. ":" .. lot.queue.name
      for each = from, pack and 0 or till do
        local digit = each % 10
        if digit == 0 or not tens then
          tens = claims_of .. (each < 10 and "" or (each - digit) / 10)
        end
        alone[#alone + 1] = claimed[each]
        alone[#alone + 1] = tens .. DIGITS[digit] .. behind
      end
    end
    first = lot.last + 1
  end
  -- Back to the heads they came from, the last first: the last pushed is the first out.
  local heads, in_turn = {}, {}
  for i = #back, 1, -1 do
    local lot = back[i].lot
    if back[i].tag then
      in_turn[lot.queue] = in_turn[lot.queue] or { uids = {}, tags = {} }
      table.insert(in_turn[lot.queue].uids, back[i].uid)
      table.insert(in_turn[lot.queue].tags, back[i].tag)
    else
      heads[lot.origin] = heads[lot.origin] or {}
      table.insert(heads[lot.origin], back[i].uid)
    end
    if back[i].tag then
      -- and is counted with its turn.
    elseif lot.door then
      lot.door.length = lot.door.length + 1
    elseif lot.flag == "" then
      lot.queue.n_ready = lot.queue.n_ready + 1
    else
      lot.queue.n_suspects = lot.queue.n_suspects + 1
    end
  end
  for origin, head in pairs(heads) do
    redis.call("RPUSH", origin, unpack(head))
  end
  for queue, some in pairs(in_turn) do
    put_turns_back(queue, some.uids, some.tags)
  end
  if n > 0 then
    if #alone > 0 then
      hold_alone(alone)
    end
    if #together > 0 then
      redis.call("HSET", packs, unpack(together))
    end
    bump(stats, "claimed", n)
    if #admitted > 0 then
      redis.call("SREM", behind, unpack(admitted))
    end
    if has_attempts then
      claims.tries = redis.call("HMGET", attempts, unpack(claimed))
    end
  end
  for _, door in ipairs(doors) do
    if door.popped and door.popped > 0 then
      if door.length == 0 then
        redis.call("HDEL", parked, door.field)
        parked_changed = true
      else
        -- Somebody knows the name: whoever still waits has waited since now.
        redis.call("HSET", parked, door.field, string.format("%d:0", now_ms))
      end
    end
  end
end
if has_keyed then
  note_turns()
end
