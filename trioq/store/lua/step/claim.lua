-- claim: in each queue a suspect, then what waited at doors now open, then the rest.
--
-- MOVE  ready -> running
local found = {}
local function pop(key, count, queue, door, flag)
  if count <= 0 then
    return 0
  end
  local popped = redis.call("RPOP", key, string.format("%d", count)) or {}
  for _, uid in ipairs(popped) do
    found[#found + 1] = { uid = uid, queue = queue, origin = key, door = door, suspect = flag }
  end
  return #popped
end

local wanted = want
local may_take_suspect = suspect == "1"
for _, queue in ipairs(queues) do
  if wanted > 0 and not is_paused[queue.name] then
    if may_take_suspect and queue.n_suspects > 0 then
      wanted = wanted - pop(queue.suspects, 1, queue, nil, "s")
      queue.n_suspects = queue.n_suspects - 1
      may_take_suspect = false
      suspects_moved = true  -- other engines may have one, too
    end
    for _, door in ipairs(queue.parked) do
      if door.length > 0 then
        local popped = pop(door.key, math.min(door.limit, wanted), queue, door, "")
        door.length, door.popped = door.length - popped, popped
        wanted = wanted - popped
      end
    end
    if queue.n_ready > 0 then
      local popped = pop(queue.ready, wanted, queue, nil, "")
      queue.n_ready = queue.n_ready - popped
      wanted = wanted - popped
    end
  end
end

if #found > 0 then
  local popped, taken, bytes, back, is_full = {}, {}, 0, {}, false
  for i, f in ipairs(found) do
    popped[i] = f.uid
  end
  local records = redis.call("HMGET", jobs, unpack(popped))
  for i, f in ipairs(found) do
    local record = records[i]
    if not record then
      -- It was cancelled where it lay, and is counted there; else nobody can say what it was.
      if redis.call("SREM", f.queue.dropped, f.uid) == 0 then
        redis.call("LPUSH", strays, f.uid)
        bump(stats, "strays", 1)
      else
        f.queue.n_dropped = f.queue.n_dropped - 1
      end
    elseif is_full or bytes > 0 and bytes + #record > max_bytes then
      is_full = true  -- and whatever comes after it waits too, so that nothing is overtaken
      back[#back + 1] = f
    else
      bytes = bytes + #record  -- the first is claimed however large: it would never be smaller
      claims[#claims + 1] = { uid = f.uid, record = record, suspect = f.suspect }
      taken[#taken + 1] = f.uid
      taken[#taken + 1] = string.format("%d:%d:%s:%s", number, #claims, f.suspect, f.queue.name)
    end
  end
  -- Back to the heads they came from, the last first: the last pushed is the first out.
  local heads = {}
  for i = #back, 1, -1 do
    local f = back[i]
    heads[f.origin] = heads[f.origin] or {}
    table.insert(heads[f.origin], f.uid)
    if f.door then
      f.door.length = f.door.length + 1
    elseif f.suspect == "" then
      f.queue.n_ready = f.queue.n_ready + 1
    else
      f.queue.n_suspects = f.queue.n_suspects + 1
    end
  end
  for origin, head in pairs(heads) do
    redis.call("RPUSH", origin, unpack(head))
  end
  if #taken > 0 then
    redis.call("HSET", running, unpack(taken))
    bump(stats, "claimed", #claims)
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
