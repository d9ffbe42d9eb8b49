-- @use line
-- There may be room in a queue of this length: tell those who wait for it, as many as it has room for.
local function make_way(queue, length, now_ms)
  for _, place in ipairs(first_ones(queue, now_ms)) do
    length = length + place.jobs
    if length > place.most then
      return
    end
    if place.tried > 0 then
      place.tried = 0  -- for who asks, if it doesn't hear of it
      redis.call("HSET", enqueuers, place.uid, as_kept(place))
      redis.pcall("PUBLISH", string.sub(enqueuers, 1, -10) .. "ends:" .. place.client, place.uid .. " room ")
    end
  end
end
