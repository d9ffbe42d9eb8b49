-- Queues by their places. Of those without a table, nothing has to be known: they are empty.
local queues = {}
local function queue_at(q)
  if not queues[q] then
    local ready = lists_at + q
    queues[q] = {
      name = ARGV[names_at + q], ready = KEYS[ready], suspects = KEYS[ready + n_queues],
      scheduled = KEYS[ready + 2 * n_queues], dropped = KEYS[ready + 3 * n_queues],
      bell = KEYS[bells_at + q], n_ready = 0, n_keyed = 0, n_suspects = 0, n_dropped = 0, n_open = 0,
      first = {}, doors = {},
    }
  end
  return queues[q]
end
local place
local function queue_of(name)
  if not place then
    place = {}
    for q = 1, n_queues do
      place[ARGV[names_at + q]] = q
    end
  end
  return place[name] and queue_at(place[name])
end
