-- hold: what is claimed is noted as the engine's.
--
-- MOVE  ready -> running
-- As they lie together; nil, if one has a uid that none of ours has, and would be taken for others.
local function as_pack(uids, from, till)
  local pack = table.concat(uids, " ", from, till)
  local has_space = string.find(table.concat(uids, "", from, till), " ", 1, true)
  if not has_space and not string.find(" " .. pack .. " ", "  ", 1, true) then
    return pack
  end
end

local DIGITS = { "1", "2", "3", "4", "5", "6", "7", "8", "9", [0] = "0" }

if n_claimed > 0 then
  local claimed, alone, together, first = claims.uids, {}, {}, 1
  for _, lot in ipairs(lots) do
    for from = first, lot.last, pack_max do
      local till = math.min(from + pack_max - 1, lot.last)
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
  if #alone > 0 then
    hold_alone(alone)
  end
  if #together > 0 then
    redis.call("HSET", packs, unpack(together))
  end
  bump(stats, "claimed", n_claimed)
  if has_attempts then
    claims.tries = redis.call("HMGET", attempts, unpack(claimed))
  end
end
if #left_doors > 0 then
  redis.call("SREM", behind, unpack(left_doors))
end
for _, door in ipairs(doors) do
  if door.left and door.length == 0 then
    redis.call("HDEL", parked, door.field)
    parked_changed = true
  elseif door.left then
    -- Somebody knows the name: whoever still waits has waited since now.
    redis.call("HSET", parked, door.field, string.format("%d:0", now_ms))
  end
end
if has_keyed then
  note_turns()
end
