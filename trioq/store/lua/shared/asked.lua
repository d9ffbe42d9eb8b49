-- Of these claims, those that somebody has asked to end, and the others. An ask is of one claim,
-- named by its step: `nth:step:keep ms:summary`.
local function divided(key, claims)
  local asked, others = { uids = {}, keeps = {}, summaries = {}, claims = {} }, {}
  local uids = {}
  for c, claim in ipairs(claims) do
    uids[c] = claim.uid
  end
  for c, ask in ipairs(#uids > 0 and redis.call("HMGET", key, unpack(uids)) or {}) do
    local step, keep_ms, summary = string.match(ask or "", "^%d+:(%d+):(%d+):(.*)$")
    if step and tonumber(step) == claims[c].step then
      local a = #asked.uids + 1
      asked.uids[a], asked.keeps[a], asked.summaries[a] = uids[c], keep_ms, summary
      asked.claims[a] = claims[c]
    else
      others[#others + 1] = claims[c]
    end
  end
  return asked, others
end
