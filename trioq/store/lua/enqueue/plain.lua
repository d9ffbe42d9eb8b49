-- Plain jobs are written as they lie in ARGV.
for _, queue in ipairs(place) do
  local n = 0
  for a = queue.first, queue.last, 2 do
    n = n + 1
    queue.new[n] = ARGV[a]
  end
  granted = granted + n
  look(queue.new)
end
taken = granted
if next(is_there) then
  records, first_record, last_record, granted = {}, 1, nil, 0
  for _, queue in ipairs(place) do
    queue.new = {}
    for a = queue.first, queue.last, 2 do
      if not is_there[ARGV[a]] then
        granted = granted + 1
        records[#records + 1], records[#records + 2] = ARGV[a], ARGV[a + 1]
        table.insert(queue.new, ARGV[a])
      end
    end
  end
end
-- Of those that take of limits, or turns, the rows that are alike were told once.
for q, queue in ipairs(n_rows > 0 and place or {}) do
  local a, new = queue.first, {}
  for nth in string.gmatch(ARGV[last + n_rows + q], "%d+") do
    local uid, row = ARGV[a], nth ~= "0" and ARGV[last + nth]
    a = a + 2
    if is_there[uid] then
      -- Taken before, by this very request.
    elseif row and string.byte(row) == 32 then
      becoming[#becoming + 1] = { uid = uid, queue = queue.name, row = row }
      queue.n_keyed = (queue.n_keyed or 0) + 1
    else
      new[#new + 1] = uid
      if row then
        flow_rows[#flow_rows + 1], flow_rows[#flow_rows + 2] = uid, row
      end
    end
  end
  queue.new = new
end
