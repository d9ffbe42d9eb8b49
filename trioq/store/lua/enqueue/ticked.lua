-- The schedule moves on, and what became of its ticks is kept: 20 lines, the newest last.
if moves.following == "0" then
  redis.call("ZREM", ticks, moves.name)
else
  redis.call("ZADD", ticks, moves.following, moves.name)
end
if granted > 0 then
  local before = string.match(moves.runs, "^%S+")
  redis.call("HSET", runs, moves.name, before and uid .. " " .. before or uid)
elseif uid then
  moves.marks = string.gsub(moves.marks, "fired (%d+ %x+)$", "known %1")
end
local kept = redis.call("HGET", ticked, moves.name)
local lines = {}
for line in string.gmatch(kept and kept .. "\n" .. moves.marks or moves.marks, "[^\n]+") do
  lines[#lines + 1] = line
end
redis.call("HSET", ticked, moves.name, table.concat(lines, "\n", math.max(1, #lines - 19)))
