-- bells: something is left for others: one of them wakes, and rings again.
-- @use ring
for q = 1, n_queues do
  local queue = queues[q]
  if queue and not is_paused[queue.name] then
    local has_suspects = suspects_moved and queue.n_suspects > 0
    local n_ready = queue.n_ready + queue.n_keyed
    if n_ready > queue.n_dropped or has_suspects or queue.n_open > 0 then
      ring(queue.bell)
    end
  end
end
