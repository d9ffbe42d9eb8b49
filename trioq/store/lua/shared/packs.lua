-- Claims that one step made of one queue lie together in `packs`: `step:i:queue` -> `count:uid uid …`
-- in their order, i the place of the first. Who was claimed alone, or was left alone, lies in
-- `running`, as all did in older versions.
-- Returns the packs, in no order; then of those that nobody can read what they hold.
local function packs_in(key)
  local flat, found, odd = redis.call("HGETALL", key), {}, {}
  for p = 1, #flat, 2 do
    local step, nth, from = string.match(flat[p], "^(%d+):(%d+):(.*)$")
    local count = string.match(flat[p + 1], "^(%d+):[^ ]")
    if step and count then
      found[#found + 1] = { field = flat[p], step = step, nth = tonumber(nth), from = from,
                            count = tonumber(count), uids = string.sub(flat[p + 1], #count + 2),
                            out = {}, n_out = 0 }
    else
      odd[#odd + 1] = flat[p + 1]
    end
  end
  return found, odd
end
-- The uids of a pack, and of each the place that it has in its step.
local function claims_in(pack)
  local next_uid, nth = string.gmatch(pack.uids, "[^ ]+"), pack.nth - 1
  return function()
    nth = nth + 1
    return next_uid(), nth
  end
end
