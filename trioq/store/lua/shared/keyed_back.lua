-- @use turns
-- Of claims that go back to where they were, those of jobs with a fair key go to their turns; returns
-- the others. Each has uid, and the name of the queue whose ready jobs it goes back to, if it does.
local function keyed_back(claimed)
  local uids, row_of, others, members = {}, {}, {}, {}
  for _, claim in ipairs(claimed) do
    if claim.ready_of then
      uids[#uids + 1] = claim.uid
    end
  end
  if #uids == 0 then
    return claimed
  end
  for i, row in ipairs(redis.call("HMGET", flow, unpack(uids))) do
    row_of[uids[i]] = row or nil
  end
  for _, claim in ipairs(claimed) do
    local tag, _, key = turn_in(claim.ready_of and row_of[claim.uid])
    if key then
      local member = claim.ready_of .. "\0" .. tag_text(tag_number(tag)) .. "\0" .. claim.uid
      members[#members + 1], members[#members + 2] = "0", member
      claim.is_keyed = true
    else
      others[#others + 1] = claim
    end
  end
  if #members > 0 then
    redis.call("ZADD", fair, unpack(members))
  end
  return others
end
