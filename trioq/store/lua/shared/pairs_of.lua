-- What sets a hash's fields, or a sorted set's members: each of the first with its of the second.
local function pairs_of(first, second)
  local pairs_ = {}
  for i, each in ipairs(first) do
    pairs_[2 * i - 1], pairs_[2 * i] = each, second[i]
  end
  return pairs_
end
