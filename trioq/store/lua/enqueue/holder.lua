-- Whether the job that loses its id to this one is as it was seen: dead, or run by that claim.
-- @use packs
local k = 23 + 4 * n_queues
local how, uid, step, keep_ms, boot, take, summary =
  string.match(seen_as, "^(%l+) (%S+) (%d+) (%d+) ([^\n]*)\n([^\n]*)\n(.*)$")
takes_over = { uid = uid, how = how, keep_ms = keep_ms, take = take, summary = summary,
               asked = KEYS[k + 5], took = KEYS[k + 6], slots = KEYS[k + 7],
               claim = { boot = boot, step = step, asks = KEYS[k + 3], bell = KEYS[k + 4] } }
for _, key in ipairs({ id_of, flow, KEYS[k + 3], unpack(KEYS, k + 5, k + 7) }) do
  redis.call("HLEN", key)
end
local function is_claimed()
  local claim = redis.call("HGET", KEYS[k + 1], uid)
  if claim then
    return string.match(claim, "^%d+") == step
  end
  for _, pack in ipairs(packs_in(KEYS[k + 2])) do
    for each in claims_in(pack) do
      if each == uid then
        return pack.step == step
      end
    end
  end
  return false
end
local holder = redis.call("HGET", ids, string.match(ARGV[last + 4], "^%Z*"))
local is_here = holder == uid and redis.call("HEXISTS", jobs, uid) == 1
if how == "dead" and holder == "dead:" .. uid then
  is_here = true  -- it is gone, and only its id is remembered
elseif is_here and how == "dead" then
  is_here = redis.call("ZSCORE", dead, uid)
else
  is_here = is_here and is_claimed()
end
-- Or it was taken before, by this very request: its number was forgotten.
if not is_here and not (is_new and redis.call("HEXISTS", jobs, ARGV[last + 2]) == 1) then
  stays = "moved"
end
