-- The other job has lost its id, which a NUL says. If it runs, this one waits for its end as for a
-- limit's slot, which that holds from now on; and if it would go back to a queue while a job that
-- lives has the id, it is cancelled, as that is its next run.
local asked, uid, take = takes_over.asked, takes_over.uid, takes_over.take
-- @use ask
local its_id = redis.call("HGET", id_of, uid)
if its_id then
  redis.call("HSET", id_of, uid, "\0" .. its_id)
end
if takes_over.how ~= "dead" then
  local function takes_it(row)
    return string.find("\n" .. row .. "\n", "\n" .. take .. "\n", 1, true)
  end
  local row, held = redis.call("HGET", flow, uid) or "", redis.call("HGET", takes_over.took, uid)
  if not takes_it(row) then
    redis.call("HSET", flow, uid, row .. "\n" .. take)
  end
  if not takes_it(held or "") then
    redis.call("HSET", takes_over.took, uid, held and held .. "\n" .. take or take)
    bump(takes_over.slots, take, 1)
  end
  ask(takes_over.claim, uid, takes_over.keep_ms, takes_over.summary, takes_over.how == "again")
end
