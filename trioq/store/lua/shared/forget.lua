-- @use drop
-- @use finished
-- @use kept_id
-- A job's life ends: its record goes, and its caller's id remembers how it ended, or is free. `more`: whether
-- the other hashes may have more of a job, where that is known. `told`: what is told and
-- kept of each job's end, if it is more than the state.
local function forget_beside(uids, state, now_ms, retention_ms, more, told)
  if told then
    finished(uids, told.ends, told.values, told.keeps_ms, now_ms)
  end
  if more == nil then
    more = redis.call("EXISTS", big, attempts, reaps, history, reasons, id_of, waits, notes, flow) > 0
  end
  if not more then
    return
  end
  if not told and redis.call("HLEN", waits) > 0 then
    local ends = {}
    for i = 1, #uids do
      ends[i] = state
    end
    finished(uids, ends, nil, nil, now_ms)
  end
  for _, key in ipairs({ big, attempts, reaps, history, reasons, notes, flow }) do
    drop(key, uids)
  end
  if redis.call("HLEN", id_of) == 0 then
    return
  end
  local tombs, ends, freed, has_ids = {}, {}, {}, false
  for i, stored in ipairs(redis.call("HMGET", id_of, unpack(uids))) do
    has_ids = has_ids or stored
    if stored and string.byte(stored) ~= 0 then  -- a NUL: it isn't this job's any more
      local id, after_end, till = kept_id(stored)
      local forgotten = math.max(now_ms + (after_end or retention_ms), till or 0)
      if forgotten > now_ms then
        tombs[#tombs + 1], tombs[#tombs + 2] = id, state .. ":" .. uids[i]
        ends[#ends + 1], ends[#ends + 2] = string.format("%d", forgotten), id
      else
        freed[#freed + 1] = id
      end
    end
  end
  if has_ids then
    redis.call("HDEL", id_of, unpack(uids))
  end
  if #freed > 0 then
    redis.call("HDEL", ids, unpack(freed))
  end
  if #tombs > 0 then
    redis.call("HSET", ids, unpack(tombs))
    redis.call("ZADD", ended, unpack(ends))
  end
end
local function forget(uids, state, now_ms, retention_ms, more, told)
  if #uids > 0 then
    redis.call("HDEL", jobs, unpack(uids))
    forget_beside(uids, state, now_ms, retention_ms, more, told)
  end
end
