-- release: the job goes back to where it was claimed from; no attempt is counted. A limit of it may rest.
--
-- MOVE  running -> ready
-- KEYS  flow
-- ARGV  what rests of what its claim took, or empty; for how many ms; what it takes, or empty: as known
-- @may
-- @use give_back
-- @use waits_in
-- What jobs take that nobody had worked out stands behind the line for their turns.
local function bind(uids, takes)
  local unbound, rows = {}, {}
  for i, lines in ipairs(takes) do
    unbound[#unbound + 1] = lines ~= "" and i or nil
  end
  if #unbound == 0 then
    return
  end
  for n, i in ipairs(unbound) do
    local turn = string.match(redis.call("HGET", flow, uids[i]) or "", "^[^\n]*")
    rows[2 * n - 1], rows[2 * n] = uids[i], turn .. "\n" .. takes[i]
  end
  redis.call("HSET", flow, unpack(rows))
end
return {
  fields = 3,
  takes_in = 3,
  returns = true,
  write = function(uids, origins, rests, rest_ms, takes)
    bind(uids, takes)
    if has_limits then
      with_limits.rest(rests, rest_ms)
    end
    for i, origin in ipairs(origins) do
      origin.uid = uids[i]
      origin.list = origin.suspect and origin.queue.suspects or origin.queue.ready
      origin.ready_of = not origin.suspect and origin.queue.name
      suspects_moved = suspects_moved or origin.suspect
    end
    table.sort(origins, in_order)  -- they come in the order in which they ended
    local length = give_back(has_rows and keyed_returned(origins) or origins)
    for _, origin in ipairs(origins) do
      local queue = origin.queue
      waits_in(queue)
      queue.n_ready = length[queue.ready] or queue.n_ready
      queue.n_suspects = length[queue.suspects] or queue.n_suspects
    end
    bump(stats, "released", #uids)
  end,
}
