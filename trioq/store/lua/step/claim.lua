-- claim: in each queue a suspect, then what waited at doors now open, then the rest. What is claimed
-- is noted in `claims` and `lots`, for hold.
local uids, popped = {}, {}  -- by lots: up to where in `uids`, and where those came from
local tag_of = {}  -- by the place in `uids`, of those that have a fair key
local function pop(key, count, queue, door, flag)
  if count <= 0 then
    return 0
  end
  local found = redis.call("RPOP", key, string.format("%d", count)) or {}
  local before = #uids
  if before == 0 then
    uids = found
  else
    for i, uid in ipairs(found) do
      uids[before + i] = uid
    end
  end
  popped[#popped + 1] = { last = #uids, queue = queue, origin = key, door = door, flag = flag }
  return #found
end

local wanted = want
local may_take_suspect = suspect == "1"
for q = 1, n_queues do
  local queue = queues[q]
  if queue and wanted > 0 and not is_paused[queue.name] then
    if may_take_suspect and queue.n_suspects > 0 then
      wanted = wanted - pop(queue.suspects, 1, queue, nil, "s")
      queue.n_suspects = queue.n_suspects - 1
      may_take_suspect = false
    end
    for _, door in ipairs(queue.doors) do
      if door.length > 0 then
        local found = pop(door.key, math.min(door.limit, wanted), queue, door, "")
        door.length = door.length - found
        wanted = wanted - found
      end
    end
    if queue.n_keyed > 0 and wanted > 0 then
      local found, tags = pop_turns(queue, wanted)
      local before = #uids
      for i = 1, #found do
        uids[before + i], tag_of[before + i] = found[i], tags[i]
      end
      popped[#popped + 1] = { last = #uids, queue = queue, origin = queue.ready, flag = "", in_turn = true }
      wanted = wanted - #found
    elseif queue.n_ready > 0 then
      local found = pop(queue.ready, wanted, queue, nil, "")
      queue.n_ready = queue.n_ready - found
      wanted = wanted - found
    end
  end
end

if #uids > 0 then
  local claimed, kept, back = claims.uids, claims.records, {}
  local bytes, is_full, first = 0, false, 1
  local records = redis.call("HMGET", jobs, unpack(uids))
  for _, lot in ipairs(popped) do
    local before = n_claimed
    for i = first, lot.last do
      local uid, record = uids[i], records[i]
      if is_full or record and n_claimed > 0 and bytes + #record > max_bytes then
        is_full = true  -- and whatever comes after it waits too, so that nothing is overtaken
        back[#back + 1] = { uid = uid, lot = lot, tag = tag_of[i] }
      else
        if not record then
          pass_over(uid, lot.queue, lot.door)
        else
          bytes = bytes + #record  -- the first is claimed however large: it would never be smaller
          n_claimed = n_claimed + 1
          claimed[n_claimed] = uid
          if lot.in_turn then
            had_turn(lot.queue, tag_of[i])
            claims.waits[n_claimed] = tag_of[i] and "f"
          end
          kept[n_claimed] = #record > RECORD_MAX and string.sub(record, 1, RECORD_MAX) or record
        end
        lot.queue.has_left = lot.queue.has_left or lot.origin == lot.queue.ready
        if lot.door then
          left_doors[#left_doors + 1] = uid
          lot.door.left = true
          if record then
            came_through(lot.door, uid)
          end
        elseif lot.flag == "s" then
          suspects_moved = true  -- other engines may have one, too
          if record then
            table.insert(claims.suspects, uid)
          end
        end
      end
    end
    if n_claimed > before then
      lots[#lots + 1] = { last = n_claimed, queue = lot.queue, flag = lot.flag }
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
end
