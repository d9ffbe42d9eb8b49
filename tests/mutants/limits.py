"""Mutants of limits: of what is taken, what is free again, and who waits."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

LIMITS: Killers = ("tests/store/contract/test_limits.py",)

FREE = "store/lua/shared/free.lua"
LIMITED_LUA = "store/lua/step/limited.lua"
RATES = "store/lua/step/limits/rates.lua"
SORTING = "store/lua/step/limits/sorting.lua"
TAKEN = "store/lua/step/limits/taken.lua"
WAITING = "store/lua/step/limits/waiting.lua"
ROOMS = "store/lua/shared/rooms.lua"

DEPLOYED: Killers = ("tests/store/contract/test_deployments.py",)
TAKES: Killers = ("tests/engine/test_takes.py",)
DECLARE = "store/lua/declare_limits.lua"
DECLARED = "store/lua/shared/declared.lua"
SET: Killers = ("tests/cli/test_limits.py",)

LIMITED = (
    Mutant(
        "what a dead engine took of limits is gone for ever", "store/lua/reap.lua",
        "free(uids_of(entries, astray))", "free({})", LIMITS,
    ),
    Mutant(
        "who signs off keeps what its claims took", "store/lua/sign_off.lua",
        "free(uids_of(entries, {}))", "free({})", LIMITS,
    ),
    Mutant(
        "whose settlement is refused frees what another claim took", "store/lua/step/settle.lua",
        "with_limits.free(column(uids_at, 1, n_settled))",
        "with_limits.free({ unpack(ARGV, uids_at + 1, uids_at + n_settled) })", LIMITS,
    ),
    Mutant(
        "of several that hold the same, one is freed", FREE,
        "fewer[take] = fewer[take] + alike[row]", "fewer[take] = fewer[take] + 1", LIMITS,
    ),
    Mutant(
        "nobody looks where somebody waits for what is free", "store/lua/shared/open_rooms.lua",
        'put("ZADD", open, opened)', "local _ = opened", LIMITS,
    ),
    Mutant(
        "one more runs than a limit admits", "store/lua/shared/limits_of.lua",
        "limit.held >= limit.most", "limit.held > limit.most", LIMITS,
    ),
    Mutant(
        "a limit is taken where another refuses", TAKEN,
        "left = math.min(left, left_of(asked[t]))", "left = left_of(asked[t])", LIMITS,
    ),
    Mutant(
        "where one may start, so may all that ask the same", SORTING,
        " or alike == may_start then", " then", LIMITS,
    ),
    Mutant(
        "what a rate has saved up is no bound for a step", RATES,
        "math.floor((limit.burst * interval - ahead) / interval)", "math.huge", LIMITS,
    ),
    Mutant(
        "of several that start, one is counted", TAKEN,
        "limit.left - count, limit.held + count", "limit.left - count, limit.held + 1", LIMITS,
    ),
    Mutant(
        "of several that start, a rate notices one", TAKEN,
        "+ count * limit.interval", "+ limit.interval", LIMITS,
    ),
    Mutant(
        "who leaves a room takes of it without end", SORTING,
        "if room and left_of(room) < 1 then", "if false then", LIMITS,
    ),
    Mutant(
        "who comes later is not refused where others wait", TAKEN,
        "is_new and asked[t].waited_in[name] or ", "", LIMITS,
    ),
    Mutant(
        "a room that nobody is in any more stays", ROOMS,
        'redis.call("ZREM", open, name .. "\\0" .. take)', "local _ = open", LIMITS,
    ),
    Mutant(
        "nobody is told when a permit comes", WAITING,
        "if wait > 0 then", "if false then", LIMITS,
    ),
    Mutant(
        "nobody hears of a room in which there is something left", "store/lua/step/bells.lua",
        " or queue.n_open > 0", "", LIMITS,
    ),
    Mutant(
        "a queue takes those from a room whose names begin like its own", ROOMS,
        "line ~= name and line or nil", "string.sub(line, 1, #name) ~= name and line or nil",
        LIMITS,
    ),
    Mutant(
        "nobody hears that a suspect's limit is free", LIMITED_LUA,
        "  suspects_moved = suspects_moved or #freed > 0  -- what one was refused may be free\n",
        "", LIMITS,
    ),
    Mutant(
        "another queue isn't told what is free", LIMITED_LUA,
        "not queue_of(name) and name or nil", "nil", LIMITS,
    ),
    Mutant(
        "what was set by hand later is set again", "store/lua/set_limits.lua",
        "math.max(newest[1], newest[2]) > version", "false", DEPLOYED,
    ),
    Mutant(
        "what is set for one value of a key is never looked at", "store/lua/shared/limits_of.lua",
        "own[t] and settings[own[t]] or settings[t]", "settings[t]", LIMITS,
    ),
    Mutant(
        "settings of a value outlive a deployment", DECLARE,
        'put("HDEL", limits, over)', "local _ = over", DEPLOYED,
    ),
    Mutant(
        "what is set before a deployment is heard of ends it", DECLARE,
        "1 + math.max(now_ms, 1 + (newest[name] or -1))", "now_ms", DEPLOYED,
    ),
    Mutant(
        "an engine that is started again brings its settings back", DECLARED,
        "is_known = is_known or each.what == mine", "is_known = false", DEPLOYED,
    ),
    Mutant(
        "who is gone declares on", DECLARED,
        "gone[#gone + 1], said[boots[b]] = boots[b], nil", "gone[#gone + 1] = boots[b]", DEPLOYED,
    ),
    Mutant(
        "nobody is waited for", DECLARED,
        "is_new and mine and 0 or GRACE", "0", DEPLOYED,
    ),
    Mutant(
        "each engine ends what isn't there for a moment", DECLARED,
        "is_new and mine and 0 or GRACE", "mine and 0 or GRACE", DEPLOYED,
    ),
    Mutant(
        "who was gone once has its minute behind it", DECLARED,
        "each.gone = not alive[each.what] and math.min(each.gone or now_ms, now_ms) or nil",
        "each.gone = each.gone or not alive[each.what] and now_ms or nil", DEPLOYED,
    ),
    Mutant(
        "a clock that goes back holds up a rollback", DECLARED,
        "math.min(each.gone or now_ms, now_ms)", "(each.gone or now_ms)", DEPLOYED,
    ),
    Mutant(
        "who waits for a limit that is over isn't let out", "store/lua/shared/changed.lua",
        'put("ZADD", open, members)', "local _ = members", DEPLOYED,
    ),
    Mutant(
        "a limit that is over is forgotten, and with it who waits", DECLARE,
        'changed[name] = holds or "0:1:0:0"', "changed[name] = holds or nil", DEPLOYED,
    ),
    Mutant(
        "who waits for a value of a key hears nothing of its limit", "store/lua/shared/changed.lua",
        'is_changed[take] or is_changed[string.match(take, "^[^:]*")]', "is_changed[take]",
        DEPLOYED,
    ),
    Mutant(
        "of the queues in which somebody waits for what has changed, one hears of it",
        "store/lua/shared/changed.lua",
        "if not met[name] then", "if not names[1] then", DEPLOYED,
    ),
    Mutant(
        "what somebody who is gone said holds over who is started", DECLARED,
        "while #known > 0 and known[#known].gone do", "for _ = 1, 1 do", DEPLOYED,
    ),
    Mutant(
        "a part of the time between two starts counts as one", RATES,
        "math.floor((limit.burst * interval - ahead) / interval)",
        "math.ceil((limit.burst * interval - ahead) / interval)", LIMITS,
    ),
    Mutant(
        "claims of limits are as many bytes as there are", SORTING,
        "alike + 1, bytes + #record, n_claimed + 1", "alike + 1, bytes, n_claimed + 1", LIMITS,
    ),
    Mutant(
        "who finds a limit full calls others to it", WAITING,
        "  queue.n_open = queue.n_open - 1\n", "", LIMITS,
    ),
    Mutant(
        "limits of an engine that is gone are heard", DECLARE,
        'if redis.call("HEXISTS", steps, boot) == 0 then', "if false then", DEPLOYED,
    ),
    Mutant(
        "old declarations stay for ever", DECLARED,
        "nth > #known - KEPT and not is_over(each, KEPT_MS, now_ms)", "true", DEPLOYED,
    ),
    Mutant(
        "an engine says once what limits it has", "engine/shard/declaring.py",
        "while True:", "for _ in range(0):", ("tests/engine/test_deployments.py",),
    ),
    Mutant(
        "what a job takes already is all that is looked at", "engine/shard/takes.py",
        "if not plan.limits or not held.takes:", "if held.takes:\n        return ()\n    if True:",
        TAKES,
    ),
    Mutant(
        "what an engine adds is all that a job takes", "engine/shard/takes.py",
        "return (*held.takes, *more[:room]) if more else ()", "return more[:room]", TAKES,
    ),
    Mutant(
        "limits that are gone leave no place for those that hold", "core/limits.py",
        "TAKES_KEPT = 32", "TAKES_KEPT = 8", TAKES,
    ),
    Mutant(
        "a job runs without a limit, and nobody is told", "engine/shard/takes.py",
        "for take in more:", "for take in ():", TAKES,
    ),
    Mutant(
        "a job takes of a limit by each field that was ever its key", "engine/shard/takes.py",
        "if limit.name not in known", "if limit.key or limit.name not in known", TAKES,
    ),
    Mutant(
        "what is set is refused where a clock was ahead", "client/admin.py",
        "max(self.now_ms(), *(1 + version for _, version in told.values()))", "self.now_ms()", SET,
    ),
    Mutant(
        "the clock of a rate cuts a rest short", RATES,
        "math.max(rest, math.max(", "math.max(0, math.max(", LIMITS,
    ),
    Mutant(
        "what has slots doesn't rest", RATES,
        "return rest\n", "return 0\n", LIMITS,
    ),
    Mutant(
        "a shorter rest ends a longer one", RATES,
        '"ZADD", tats, "GT", until_us', '"ZADD", tats, until_us', LIMITS,
    ),
    Mutant(
        "a step that is told what jobs take claims them without it", "store/lua/step/step.lua",
        'if not has_limits and ARGV[group.at', 'if false and ARGV[group.at', LIMITS,
    ),
    Mutant(
        "whose takes are told loses its turn", "store/lua/step/settle/release.lua",
        'redis.call("HGET", flow, uids[i]) or ""', '""', LIMITS,
    ),
    Mutant(
        "a job that arrives unbound runs unbound", "engine/shard/intake.py",
        "if not self.takes:", "if True:", ("tests/engine/test_unbound.py",),
    ),
    Mutant(
        "of several limits that are to rest, one does", RATES,
        'if take ~= "" then', 'if take ~= "" and n_rests == 0 then', LIMITS,
    ),
    Mutant(
        "the last one that leaves its door is noted behind it", "store/lua/step/limits/places.lua",
        "for i = 1, from.door and sorted or 0 do", "for i = 1, from.door and sorted - 1 or 0 do",
        LIMITS,
    ),
    Mutant(
        "rests that are over stay", RATES,
        "forget_times(n_rests)", "", LIMITS,
    ),
    Mutant(
        "another value of a key rests", "engine/runs/settle.py",
        "take == named or outcome.key is None", "True", ("tests/engine/runs/test_settle.py",),
    ),
    Mutant(
        "who would be too late then lets nothing rest", "engine/runs/settle.py",
        "if isinstance(verdict, retry.RetryIn) and",
        "if isinstance(unless_late(verdict, record.options, now_ms), retry.RetryIn) and",
        ("tests/engine/runs/test_settle.py",),
    ),
    Mutant(
        "a job whose payload lay apart forgets what it took", "engine/shard/payloads.py",
        "payload=payload)", "payload=payload, takes=())", ("tests/engine/test_rate_limited.py",),
    ),
    Mutant(
        "who comes out of a room had waited for nothing", "store/lua/step/limits/places.lua",
        '      claims.waits[n_claimed] = "l"\n', "", LIMITS,
    ),
    Mutant(
        "what claims had waited for is told of others", "store/lua/step/reply.lua",
        'told[i] = claims.waits[i] or "-"',
        'told[i] = claims.waits[#claims.uids + 1 - i] or "-"', LIMITS,
    ),
    Mutant(
        "a cancelled job keeps its place in a room", "store/lua/cancel.lua",
        "if not left_its_room(uid, row, name) then", "if true then", LIMITS,
    ),
)  # fmt: skip
