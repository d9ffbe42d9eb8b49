-- A job that would wait again has the id back that was taken from it: a NUL stands before that. Returns
-- whether it may: not where a job that lives has it by now.
local function take_back(uid)
  local stored = redis.call("HGET", id_of, uid)
  if not stored or string.byte(stored) ~= 0 then
    return true
  end
  stored = string.sub(stored, 2)
  local id = string.match(stored, "^%Z*")
  local other = redis.call("HGET", ids, id)
  if other and redis.call("HEXISTS", jobs, other) == 1 then
    if not redis.call("ZSCORE", dead, other) then
      return false
    end
    redis.call("HSET", id_of, other, "\0" .. (redis.call("HGET", id_of, other) or id))
  end
  redis.call("ZREM", ended, id)
  redis.call("HSET", ids, id, uid)
  redis.call("HSET", id_of, uid, stored)
  return true
end
