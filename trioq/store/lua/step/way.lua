-- way: there is room where something was claimed, for whoever waits for it.
-- @use make_way_in
for q = 1, n_queues do
  local queue = queues[q]
  if queue and queue.has_left then
    make_way_in(queue.name, queue.ready, queue.scheduled, queue.dropped, now_ms)
  end
end
