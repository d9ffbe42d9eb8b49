-- @use take_back
-- Of these claims, which would go back to queues, those that somebody has asked to end, and the others.
-- An ask is of one claim, named by its step: `nth:step:keep ms:summary`. A quiet one, the 0th, counts
-- only where a job that lives has the id.
local function divided(key, claims)
  local asked, others = { uids = {}, keeps = {}, summaries = {}, claims = {} }, {}
  local uids = {}
  for c, claim in ipairs(claims) do
    uids[c] = claim.uid
  end
  for c, ask in ipairs(#uids > 0 and redis.call("HMGET", key, unpack(uids)) or {}) do
    local nth, step, keep_ms, summary = string.match(ask or "", "^(%d+):(%d+):(%d+):(.*)$")
    local is_asked = step and tonumber(step) == claims[c].step
    if is_asked and (nth ~= "0" or not take_back(uids[c])) then
      local a = #asked.uids + 1
      asked.uids[a], asked.keeps[a], asked.summaries[a] = uids[c], keep_ms, summary
      asked.claims[a] = claims[c]
    else
      others[#others + 1] = claims[c]
    end
  end
  return asked, others
end
