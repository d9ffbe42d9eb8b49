-- How many claims lie in packs, as the boot's field of `steps` has it: `number+count refusals`.
local function in_packs(last)
  return tonumber(string.match(last, "^%d+%+(%d+)") or 0)
end
