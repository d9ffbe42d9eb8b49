-- Whether a schedule is where it was seen, says what it said then, and may move on from there.
for _, key in ipairs({ runs, ticked }) do
  redis.call("HLEN", key)
end
local seen, following, alive_max, row, name, marks =
  string.match(seen_as, "^(%d+) (%d+) (%d*) (%x+) ([^\n]+)\n(.*)$")
moves = { name = name, following = following, marks = marks }
moves.runs = redis.call("HGET", runs, name) or ""
local says = redis.sha1hex(redis.call("HGET", schedules, name) or "")
if redis.call("ZSCORE", ticks, name) ~= seen or says ~= row then
  stays = "moved"
elseif alive_max ~= "" then
  local alive = {}
  for uid in string.gmatch(moves.runs, "%S+") do
    if redis.call("HEXISTS", jobs, uid) == 1 and not redis.call("ZSCORE", dead, uid) then
      alive[#alive + 1] = uid
    end
  end
  stays = #alive > tonumber(alive_max) and "alive " .. alive[1] or nil
end
