-- What lies beside a job that has a caller's id: the id alone, or `id NUL after_end until latest` in ms,
-- with `-` where the job says nothing of it. Returns the id and these.
local function kept_id(stored)
  local id, after_end, till, latest = string.match(stored, "^(%Z+)%z(%S+) (%S+) (%S+)$")
  return id or stored, tonumber(after_end), tonumber(till), tonumber(latest)
end
