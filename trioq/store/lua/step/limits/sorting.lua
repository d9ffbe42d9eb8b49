-- Of several jobs, in their order, each is claimed, passed over or refused, until there is enough.
-- @use taken
local met, looks, bytes, is_over = 0, 0, 0, false
local looks_max = 2 * want + 64
local function goes_on()
  return not is_over and met < want and looks < looks_max
end
-- How many more may be looked at now.
local function n_more()
  return math.min(want - met, looks_max - looks)
end

-- `from`: where they lie. Returns of how many that was said.
local function sort_out(uids, from)
  local name, records = from.queue.name, redis.call("HMGET", jobs, unpack(uids))
  local asked_of = all_asked(redis.call("HMGET", flow, unpack(uids)))
  local before, sorted = n_claimed, 0
  for i, uid in ipairs(uids) do
    local record, asked = records[i], asked_of[i]
    if not goes_on() or from.is_shut and from.is_shut() then
      break
    end
    local refuses = record and refusing(asked, name, from.is_new)
    if record and not refuses and n_claimed > 0 and bytes + #record > max_bytes then
      is_over = true
      break
    end
    looks, sorted = looks + 1, sorted + 1
    if refuses then
      from.refused(uid, refuses)
    else
      met = met + 1
      if record then
        bytes, n_claimed = bytes + #record, n_claimed + 1
        claims.uids[n_claimed] = uid
        claims.records[n_claimed] = #record > RECORD_MAX and string.sub(record, 1, RECORD_MAX) or record
        take(uid, asked)
      else
        pass_over(uid, from.queue, from.door)
      end
      if from.met then
        from.met(uid, record, i)
      end
    end
  end
  if n_claimed > before then
    lots[#lots + 1] = { last = n_claimed, queue = from.queue, flag = from.flag or "" }
  end
  return sorted
end
