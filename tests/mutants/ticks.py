"""Mutants of schedules: of when they move, and what comes of their runs."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

TICKS: Killers = ("tests/store/contract/test_ticks.py",)
DECIDED: Killers = ("tests/core/schedules/test_schedule.py",)
MADE: Killers = ("tests/engine/sources/test_ticker.py",)

TICK = "store/lua/enqueue/tick.lua"
TICKED_LUA = "store/lua/enqueue/ticked.lua"
SCHEDULE = "store/lua/schedule.lua"
TICKER = "engine/sources/ticker.py"

TICKED = (
    Mutant(
        "a schedule moves on from wherever it stands", TICK,
        'redis.call("ZSCORE", ticks, name) ~= seen or ', "", TICKS,
    ),
    Mutant(
        "a schedule moves on by what it said before", TICK, " or says ~= row", "", TICKS,
    ),
    Mutant(
        "a run that is dead holds up the next", TICK,
        ' and not redis.call("ZSCORE", dead, uid)', "", TICKS,
    ),
    Mutant(
        "one run more may be alive", TICK,
        "#alive > tonumber(alive_max)", "#alive > 1 + tonumber(alive_max)", TICKS,
    ),
    Mutant(
        "of the run before the last nobody knows", TICKED_LUA,
        'before and uid .. " " .. before or uid', "uid", TICKS,
    ),
    Mutant(
        "who changes a schedule takes away the tick that has come", SCHEDULE,
        "at and at * 1000 <= clock(given_now)", "false", TICKS,
    ),
    Mutant(
        "nothing is known of the limit of runs that wait for one another",
        "store/lua/shared/limits_of.lua", "limit.interval, limit.most = 0, 1", "", TICKS,
    ),
    Mutant(
        "of ticks that come together one is made", "core/schedules/schedule.py",
        "behind[0] if behind else found.next", "found.next", DECIDED,
    ),
    Mutant(
        "who is late has the new run replaced", TICKER,
        "if known.next_ms != tick_ms:", "if False:", MADE,
    ),
    Mutant(
        "runs that wait for one another run at the same time", TICKER,
        "if its.is_serial:", "if False:", MADE,
    ),
    Mutant(
        "a schedule that can't be made ends its engine", TICKER,
        "except (QueueFull, RecordUnreadable, ValueError) as error:",
        "except QueueFull as error:", MADE,
    ),
    Mutant(
        "somebody sets a limit of trioq's own", "client/admin.py",
        "if is_own(name):", "if False:", ("tests/cli/test_limits.py", "-k", "own"),
    ),
)  # fmt: skip
