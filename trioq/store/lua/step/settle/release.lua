-- release: the job goes back to where it was claimed from; no attempt is counted.
--
-- MOVE  running -> ready
-- ARGV  nothing more
-- @use give_back
local given = {}
return {
  fields = 0,
  take = function(uid, _, queue, step, nth, flag)
    local list = flag == "s" and queue.suspects or queue.ready
    given[#given + 1] = { uid = uid, step = tonumber(step), nth = tonumber(nth), list = list }
    suspects_moved = suspects_moved or flag == "s"
  end,
  write = function()
    table.sort(given, in_order)  -- they come in the order in which they ended
    local length = give_back(given)
    for _, queue in ipairs(queues) do
      if length[queue.ready] or length[queue.suspects] then
        waits_in(queue)
      end
      queue.n_ready = length[queue.ready] or queue.n_ready
      queue.n_suspects = length[queue.suspects] or queue.n_suspects
    end
    bump(stats, "released", #given)
  end,
}
