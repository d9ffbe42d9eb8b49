-- groups: what is settled, in the groups that the arguments tell it in.
local cursor, settled = runs_at + 2 * n_runs, 0
while cursor < #ARGV do
  local name, count = ARGV[cursor + 1], tonumber(ARGV[cursor + 2])
  local verb  -- which reads what it writes to
  -- @verbs
  groups[#groups + 1] = { verb = verb, first = settled + 1, last = settled + count, at = cursor + 2 }
  settled, cursor = settled + count, cursor + 2 + (verb.in_lines and 1 or count) * verb.fields
  has_queues = has_queues or verb.returns
end
