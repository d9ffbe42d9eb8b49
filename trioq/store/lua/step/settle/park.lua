-- park: the job waits behind a door: its engine may not run its name now.
--
-- MOVE  running -> ready
-- KEYS  behind    SET   uids that lie in parked lists
-- ARGV  queue:name of its door
-- @types
-- @may
-- @use waits_in
return {
  fields = 1,
  returns = true,
  write = function(uids, _, fields)
    local arriving = {}
    for i, uid in ipairs(uids) do
      local door = door_of[fields[i]]
      arriving[door] = arriving[door] or {}
      table.insert(arriving[door], uid)
    end
    for door, uids in pairs(arriving) do
      redis.call("LPUSH", door.key, unpack(uids))
      redis.call("SADD", behind, unpack(uids))
      waits_in(door.queue)
      if door.length == 0 then
        -- All of these have waited since now: so many die when the name stays unknown.
        redis.call("HSET", parked, door.field, string.format("%d:%d", now_ms, #uids))
        parked_changed = true
      end
      door.length = door.length + #uids
    end
    bump(stats, "parked", #uids)
  end,
}
