-- The order in which claims were made: by step, and within a step by place.
local function in_order(a, b)
  if a.step ~= b.step then
    return a.step < b.step
  end
  return a.nth < b.nth
end
-- Put claims, in their order, at the heads of their lists: the last pushed is the first out.
-- Returns the new length of each list.
local function give_back(claimed)
  local heads, length = {}, {}
  for c = #claimed, 1, -1 do
    local list = claimed[c].list
    heads[list] = heads[list] or {}
    table.insert(heads[list], claimed[c].uid)
  end
  for list, uids in pairs(heads) do
    length[list] = redis.call("RPUSH", list, unpack(uids))
  end
  return length
end
