-- unused: nothing is in these queues, and nobody asks for them by their names.
if forgets == "1" and redis.call("EXISTS", parked) == 0 then
  for q = 1, n_queues do
    local name = ARGV[names_at + q]
    local is_used = queues[q] and queues[q].is_used or has_limits and with_limits.wait_in(name)
    if not (is_used or is_paused[name]) then
      unused[#unused + 1], silenced[#silenced + 1] = name, KEYS[bells_at + q]
    end
  end
end
