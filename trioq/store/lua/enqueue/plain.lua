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
