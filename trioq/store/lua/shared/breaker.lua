-- A shared breaker as it is kept: a line of itself, one for each boot that has said something of it
-- since it changed, and one for each part of its window. What somebody else wrote is a closed one.
local function breaker_of(text)
  local state, numbers = string.match(text or "", "^(%l[%l_]+) ([%d ]+)\n")
  local b = { state = "closed", turn = 0, since = 0, til = 0, resets = 0, good = 0, bad = 0 }
  local fields, n = { "turn", "since", "til", "resets", "good", "bad" }, 0
  for number in string.gmatch(numbers or "", "%d+") do
    n = n + 1
    b[fields[n] or "more"] = tonumber(number)
  end
  b.state, b.boots, b.shares, b.slots = state or "closed", {}, {}, {}
  for boot, granted, good, bad, ignored in
    string.gmatch(text or "", "\nboot (%S+) (%d+) (%d+) (%d+) (%d+)")
  do
    b.boots[#b.boots + 1] = boot
    b.shares[boot] = { tonumber(granted), tonumber(good), tonumber(bad), tonumber(ignored) }
  end
  for slot, runs, failed in string.gmatch(text or "", "\nslot (%d+) (%d+) (%d+)") do
    b.slots[#b.slots + 1] = { tonumber(slot), tonumber(runs), tonumber(failed) }
  end
  return b
end
local function breaker_text(b)
  local numbers = { b.turn, b.since, b.til, b.resets, b.good, b.bad }
  local lines = { string.format("%s %d %d %d %d %d %d\n", b.state, unpack(numbers)) }
  for _, boot in ipairs(b.boots) do
    lines[#lines + 1] = string.format("\nboot %s %d %d %d %d", boot, unpack(b.shares[boot]))
  end
  for _, slot in ipairs(b.slots) do
    lines[#lines + 1] = string.format("\nslot %d %d %d", unpack(slot))
  end
  return table.concat(lines)
end
local function turn_breaker(b, state, now_ms)
  b.state, b.turn, b.since, b.til = state, b.turn + 1, now_ms, 0
  b.good, b.bad, b.boots, b.shares, b.slots = 0, 0, {}, {}, {}
end
