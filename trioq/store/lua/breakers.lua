#!lua flags=allow-oom
-- breakers: an engine says what its runs have found of shared breakers, and asks for probes.
--
-- KEYS  steps     HASH  boot -> its last step
--       breakers  HASH  name -> its state, where all engines share it, and its resets
-- ARGV  boot      str
--       given_now int   epoch ms, or empty for the server's clock
--       then for each breaker: name, failure_threshold, window and cooldown in ms, min_samples,
--       its turn; and of this boot since then: good, bad, ignored, and the probes it wants in all
-- REPLY ok, for each: state, turn, ms since then, ms that it stays open, probes granted, resets
--
-- Invariant: half-open, boots that are registered have one probe, and one more for each good one,
--   all together. A probe is its boot's as a claim is: a reap or a sign-off frees it.
-- Repeat: the counts only grow; what was said before is no news, and a late copy asks for less. What
--   is of another turn than the breaker's decides nothing.
-- Cost: O(breakers named * engines that have said something of them).
local steps, breakers = unpack(KEYS, 1, 2)
local boot, given_now = unpack(ARGV, 1, 2)
-- @use breaker
-- @use now

local now_ms = math.floor(clock(given_now) / 1000)
local is_known = redis.call("HEXISTS", steps, boot) == 1
local told, changed = {}, {}

local function is_too_bad(failed, found, ask)
  return found >= ask.min_samples and failed / found >= ask.threshold
end
local function open_breaker(b, good, bad, ask)
  turn_breaker(b, "open", now_ms)
  b.good, b.bad = good, bad
  b.til = now_ms + ask.cooldown
end
local function forget_gone(b)
  if #b.boots == 0 then
    return
  end
  local last, there = redis.call("HMGET", steps, unpack(b.boots)), {}
  for i, each in ipairs(b.boots) do
    if last[i] then
      there[#there + 1] = each
    else
      b.shares[each] = nil
    end
  end
  b.boots = there
end
local function share_of(b)
  if not b.shares[boot] then
    b.boots[#b.boots + 1], b.shares[boot] = boot, { 0, 0, 0, 0 }
  end
  return b.shares[boot]
end
local function into_window(b, runs, failed, ask)
  local slot = math.floor(now_ms * 12 / ask.window)
  for _, each in ipairs(b.slots) do
    slot = math.max(slot, each[1])
  end
  local kept, now = {}, nil
  for _, each in ipairs(b.slots) do
    if each[1] > slot - 12 then
      kept[#kept + 1] = each
      now = each[1] == slot and each or now
    end
  end
  if not now then
    now = { slot, 0, 0 }
    kept[#kept + 1] = now
  end
  now[2], now[3] = now[2] + runs, now[3] + failed
  b.slots = kept
  local all_runs, all_failed = 0, 0
  for _, each in ipairs(kept) do
    all_runs, all_failed = all_runs + each[2], all_failed + each[3]
  end
  if is_too_bad(all_failed, all_runs, ask) then
    open_breaker(b, all_runs - all_failed, all_failed, ask)
  end
end
local function count(b, ask)
  local had = b.shares[boot] or { 0, 0, 0, 0 }
  local good, bad = math.max(0, ask.good - had[2]), math.max(0, ask.bad - had[3])
  local ignored = math.max(0, ask.ignored - had[4])
  if good + bad + ignored == 0 then
    return
  end
  local share = share_of(b)
  share[2], share[3], share[4] = share[2] + good, share[3] + bad, share[4] + ignored
  if good + bad == 0 then
    return
  elseif b.state == "closed" then
    into_window(b, good + bad, bad, ask)
  elseif b.state == "half_open" then
    b.good, b.bad = b.good + good, b.bad + bad
    if b.good == 0 or is_too_bad(b.bad, b.good + b.bad, ask) then
      open_breaker(b, b.good, b.bad, ask)
    elseif b.good + b.bad >= ask.min_samples then
      turn_breaker(b, "closed", now_ms)
    end
  end
end
local function grant(b, ask)
  local room = 1 + b.good
  for _, each in ipairs(b.boots) do
    local share = b.shares[each]
    room = room - math.max(0, share[1] - share[2] - share[3] - share[4])
  end
  local had = b.shares[boot] and b.shares[boot][1] or 0
  local more = math.min(room, ask.want - had)
  if more > 0 then
    share_of(b)[1] = had + more
  end
end

for a = 3, #ARGV, 10 do
  local name, threshold, window, cooldown, min_samples, turn, good, bad, ignored, want =
    unpack(ARGV, a, a + 9)
  local ask = {
    threshold = tonumber(threshold), window = tonumber(window), cooldown = tonumber(cooldown),
    min_samples = tonumber(min_samples), turn = tonumber(turn), good = tonumber(good),
    bad = tonumber(bad), ignored = tonumber(ignored), want = tonumber(want),
  }
  local text = redis.call("HGET", breakers, name)
  local b = breaker_of(changed[name] or text)
  b.til = math.min(b.til, now_ms + ask.cooldown)
  if b.state == "open" and now_ms >= b.til then
    turn_breaker(b, "half_open", now_ms)
  elseif ask.turn == b.turn and is_known then
    forget_gone(b)
    count(b, ask)
    if b.state == "half_open" and ask.turn == b.turn then
      grant(b, ask)
    end
  end
  local now = breaker_text(b)
  if now ~= text and not (not text and b.turn == 0 and #b.boots == 0) then
    changed[name] = now
  end
  told[#told + 1] = {
    b.state, b.turn, b.turn > 0 and math.max(0, now_ms - b.since) or 0,
    b.state == "open" and math.max(0, b.til - now_ms) or 0,
    b.shares[boot] and b.shares[boot][1] or 0, b.resets,
  }
end
-- @may
for name, text in pairs(changed) do
  redis.call("HSET", breakers, name, text)
end
return { "ok", told }
