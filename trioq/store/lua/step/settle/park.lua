-- park: the job waits behind a door: its engine may not run its name now.
--
-- MOVE  running -> ready
-- ARGV  queue:name of its door
local arriving, parking = {}, 0
return {
  fields = 1,
  take = function(uid, at)
    local door = door_of[ARGV[at]]
    arriving[door] = arriving[door] or {}
    table.insert(arriving[door], uid)
    parking = parking + 1
  end,
  write = function()
    for door, uids in pairs(arriving) do
      redis.call("LPUSH", door.key, unpack(uids))
      waits_in(door.queue)
      if door.length == 0 then
        -- All of these have waited since now: so many die when the name stays unknown.
        redis.call("HSET", parked, door.field, string.format("%d:%d", now_ms, #uids))
        parked_changed = true
      end
      door.length = door.length + #uids
    end
    bump(stats, "parked", parking)
  end,
}
