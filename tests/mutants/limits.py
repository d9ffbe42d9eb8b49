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
        "settings of a version that is known replace it", "store/lua/set_limits.lua",
        "elseif own < version then", "else", LIMITS,
    ),
    Mutant(
        "what is set for one value of a key is never looked at", "store/lua/shared/limits_of.lua",
        "own[t] and settings[own[t]] or settings[t]", "settings[t]", LIMITS,
    ),
    Mutant(
        "settings of a value outlive a later deployment", "store/lua/set_limits.lua",
        'keeps == "0" and known or {}', "{}", LIMITS,
    ),
    Mutant(
        "a deployment ends settings of a value that are newer", "store/lua/set_limits.lua",
        "is_told[limit_of(take)] and since < version", "is_told[limit_of(take)]", LIMITS,
    ),
    Mutant(
        "settings of a value come back after a later deployment", "store/lua/set_limits.lua",
        "math.max(own, of_limit) > version", "own > version", LIMITS,
    ),
    Mutant(
        "who waits isn't told that settings of a value are over", "store/lua/set_limits.lua",
        "over[#over + 1], is_changed[take] = take, true", "over[#over + 1] = take", LIMITS,
    ),
    Mutant(
        "what is set for all by hand ends what is set for a value", "client/admin.py",
        "keeps_values=True", "keeps_values=False", SET,
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
        "a cancelled job keeps its place in a room", "store/lua/cancel.lua",
        "if not left_its_room(uid, row, name) then", "if true then", LIMITS,
    ),
)  # fmt: skip
