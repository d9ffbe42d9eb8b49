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

-- At most `n_more()`. `from`: where they lie; `from.room`: the limit in whose room, as long as it has
-- something left. Returns of how many that was said.
local function sort_out(uids, from)
  local records = redis.call("HMGET", jobs, unpack(uids))
  local asked_of = all_asked(redis.call("HMGET", flow, unpack(uids)))
  local queue, room, is_new, tell_met = from.queue, from.room, from.is_new, from.met
  local claimed, kept, takes = claims.uids, claims.records, claims.takes
  local before, sorted = n_claimed, 0
  local asked, alike, may_start = {}, 0, 0  -- of those in a row that ask the same
  for i = 1, #uids do
    local uid, record, refuses = uids[i], records[i], nil
    if asked_of[i] ~= asked or alike == may_start then
      take(asked, alike)
      if room and left_of(room) < 1 then
        alike = 0
        break
      end
      asked, alike = asked_of[i], 0
      may_start = fitting(asked, queue.name, is_new)
      refuses = record and may_start < 1 and refusing(asked, queue.name, is_new)
    end
    if refuses then
      from.refused(uid, refuses)
    elseif record and n_claimed > 0 and bytes + #record > max_bytes then
      is_over = true
      break
    else
      met = met + 1
      if record then
        alike, bytes, n_claimed = alike + 1, bytes + #record, n_claimed + 1
        claimed[n_claimed], takes[n_claimed] = uid, asked.text
        kept[n_claimed] = #record > RECORD_MAX and string.sub(record, 1, RECORD_MAX) or record
      else
        pass_over(uid, queue, from.door)
      end
      if tell_met then
        tell_met(uid, record, i)
      end
    end
    sorted = i
  end
  take(asked, alike)
  looks = looks + sorted
  if n_claimed > before then
    lots[#lots + 1] = { last = n_claimed, queue = queue, flag = from.flag or "" }
  end
  return sorted
end
