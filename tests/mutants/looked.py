"""Mutants of what is said of jobs that wait: what a drain waits for, lines, causes, engines."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

DRAINS: Killers = ("tests/cli/test_drain.py",)
IN_LINE: Killers = ("tests/store/test_in_line.py",)
WAITS: Killers = ("tests/observe/test_waits.py",)
EXPLAIN: Killers = ("tests/store/test_explain.py",)
DOORS: Killers = ("tests/store/test_doors.py",)

DRAIN = "cli/drain.py"
LINE = "store/inspect/in_line.py"
BUSY = "store/inspect/why_busy.py"
SUSPECTS = "store/inspect/suspects.py"

LOOKED = (
    Mutant(
        "a drain waits for permits that come beyond its horizon", DRAIN,
        "(later if (room.next_ms or 0) > counts.horizon_ms else soon)", "soon", DRAINS,
    ),
    Mutant(
        "a drain leaves those behind that wait for a slot", DRAIN,
        "(room.next_ms or 0) > counts", "(room.next_ms or 1e15) > counts", DRAINS,
    ),
    Mutant(
        "suspects that a limit refuses are ready", "store/inspect/moment.py",
        "lengths.claimable - len(refused),", "lengths.claimable,", DRAINS,
    ),
    Mutant(
        "suspects that nothing refuses wait for a limit", SUSPECTS,
        "max((e for e in takes if e.next_ms),", "max(takes,", DRAINS,
    ),
    Mutant(
        "a suspect of a value that is paused is ready", SUSPECTS,
        "if each.take in paused or each.is_full)", "if each.is_full)", DRAINS,
    ),
    Mutant(
        "a suspect that waits for a slot is ready", SUSPECTS,
        "if each.take in paused or each.is_full)", "if each.take in paused)", DRAINS,
    ),
    Mutant(
        "those of other queues come before one in line", LINE,
        "int(told[2]), before[queue], since_ms)", "int(told[2]), before.total(), since_ms)",
        IN_LINE,
    ),
    Mutant(
        "one in line is known by its uid alone", "store/lua/enqueue/line_up.lua",
        'more and string.match(ARGV[first + 3], "^%Z*") or ""', '""', IN_LINE,
    ),
    Mutant(
        "who is told that there is room has forgotten its id", "store/lua/shared/line.lua",
        "queue = queue, id = id }", 'queue = queue, id = "" }', IN_LINE,
    ),
    Mutant(
        "who hasn't asked for long is before others in line", LINE,
        "told is None or int(told[1]) <= now_ms", "told is None", IN_LINE,
    ),
    Mutant(
        "of an engine that has begun anew both boots count", "store/inspect/able.py",
        "if _started_ms(each) == newest[each.name])", "if newest)", DOORS,
    ),
    Mutant(
        "of a job that waits for a limit it is said that it is ready", "store/inspect/explain.py",
        'state = "limited" if is_limited else view.state', "state = view.state",
        ("tests/cli/test_limits.py",),
    ),
    Mutant(
        "of engines that drain it isn't told that none knew the name", "store/inspect/able.py",
        "elif not knowing:", "elif serving and all(map(self.leaves, serving)):\n"
        '            why = "draining"\n        elif not knowing:', DOORS,
    ),
    Mutant(
        "of an engine that has begun anew the first boot counts", "store/inspect/able.py",
        "sorted(engines, key=_started_ms)}",
        "sorted(engines, key=_started_ms, reverse=True)}", DOORS,
    ),
    Mutant(
        "a queue that has its share comes after higher ones", BUSY,
        "if not serving or not all(each.info.strict for each in serving):", "if not serving:",
        EXPLAIN,
    ),
    Mutant(
        "what is higher in one engine is in all", BUSY,
        "if all(name in those for those in others)]", "]", EXPLAIN,
    ),
    Mutant(
        "jobs of a paused queue go before others", BUSY,
        "if jobs and name not in counted.pauses.queues", "if jobs", EXPLAIN,
    ),
    Mutant(
        "nothing but limits is known to stop a queue", "store/inspect/explain.py",
        "*(of_ready(queue, abandoned_of(counted, told), now_ms) if has_ready else ()),", "",
        EXPLAIN,
    ),
    Mutant(
        "what a job waited for once it waits for ever", "observe/metrics/waits.py",
        'self._waited_for.pop(job.uid, "ready")', 'self._waited_for.get(job.uid, "ready")', WAITS,
    ),
    Mutant(
        "what jobs that were given back waited for is kept for ever", "observe/metrics/waits.py",
        "while len(self._waited_for) > JOBS:", "while False:", WAITS,
    ),
)  # fmt: skip
