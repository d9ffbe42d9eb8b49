-- alone: an idle engine's steps. There is one job, and it is claimed; or one that it had, and it is done;
-- or none. That can be seen by a few reads, and takes a few lines. All else goes the long way, which
-- would do the same with this.
--
-- MOVE  ready -> running, running -> done
local function answer(uids, records)
  redis.call("HSET", steps, boot, number)
  return { "ok", "", uids, records, {}, {}, #uids, 0, -1, version, false, false, {}, false, {}, "", {}, {} }
end

if n_settled == 0 then
  n_there = count(running, unpack(KEYS, lists_at + 1, bells_at))
  if n_there == 0 then
    return answer({}, {})
  end
  -- It is mostly what has just been enqueued, and where jobs go that don't say: into the last queue.
  for q = want > 0 and n_there == 1 and n_queues or 0, 1, -1 do
    local ready = KEYS[lists_at + q]
    local uids = redis.call("LRANGE", ready, -2, -1)
    local record = #uids == 1 and redis.call("HMGET", jobs, uids[1])[1]
    if record and #record <= RECORD_MAX then
      -- @may only HINCRBY, HSET, RPOP
      redis.call("RPOP", ready)
      redis.call("HSET", running, uids[1], claims_of .. "1::" .. ARGV[names_at + q])
      bump(stats, "claimed", 1)
      return answer(uids, { record })
    elseif uids[1] then
      break
    end
  end
elseif n_settled == 1 and ARGV[runs_at + 3] == "ack" then
  n_there = count(big, reaps, history, reasons, id_of, waits, unpack(KEYS, lists_at + 1, bells_at))
  local held = n_there == 0 and redis.call("HRANDFIELD", running, 2, "WITHVALUES") or {}
  local uid, claim, summary = ARGV[uids_at + 1], ARGV[runs_at + 1] .. ":", ARGV[runs_at + 5]
  if #held == 2 and held[1] == uid and string.find(held[2], claim, 1, true) == 1 then
    local counts = { "done", raised(n_done, 1) }
    -- @may only HDEL, HSET, LINDEX, LPUSH, LTRIM
    if is_kept(summary) then
      counts[3], counts[4] = "summaries", raised(n_summaries, 1)
      redis.call("LPUSH", done, counts[4], summary)
    end
    local gone = redis.pcall("HDEL", jobs, uid)
    if type(gone) == "table" then
      if counts[4] then
        redis.call("LTRIM", done, 2, -1)
      end
      return gone
    end
    redis.call("HDEL", running, uid)
    redis.call("HSET", stats, unpack(counts))
    if counts[4] then
      trim(1, tonumber(counts[4]))
    end
    return answer({}, {})
  end
end
