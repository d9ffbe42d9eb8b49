-- Turns among the fair keys of a queue: a job's tag is the virtual time at which it may start.
local TURN, LONGEST = 1048576, 104857600
local TAG_LENGTH = 16
local function tag_text(tag)
  return string.format("%016x", tag)
end
local function tag_number(text)
  return tonumber(text or "0", 16) or 0
end
-- What a job takes of virtual time, by its weight as it stands in its row.
local function turn_of(weight)
  return math.floor(TURN / math.min(math.max(tonumber(weight) or 1, 0.01), 100))
end
-- Of a job's row: its tag, if it has one yet, its key's weight, its key, and what follows.
local function turn_in(row)
  return string.match(row or "", "^(%x*) (%d[%d.]*) ([^\n]+)(.*)$")
end
