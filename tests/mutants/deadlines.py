"""Mutants of deadlines and expiries: what would run too late, or be ended too soon."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

PURELY = "core/deadline.py"
WORKER = "engine/runs/worker.py"
START = "engine/runs/start.py"
SETTLE = "engine/runs/settle.py"
JOBS = "client/jobs.py"
ARGUMENTS = "core/arguments.py"

TABLE: Killers = ("tests/core/test_deadline.py",)
BEFORE: Killers = ("tests/engine/runs/test_deadlines.py", "-k", "too_late_is")
DURING: Killers = ("tests/engine/runs/test_deadlines.py", "-k", "nobody_has_failed or in_time")
AGAIN: Killers = ("tests/engine/runs/test_deadlines.py", "-k", "cancelled_at_once")
WAITING: Killers = ("tests/engine/runs/test_deadlines.py", "-k", "who_waits")
PROGRAM: Killers = ("tests/engine/runs/test_deadlines.py", "-k", "program")
SAID: Killers = ("tests/client/test_deadlines.py",)
REFUSED: Killers = ("tests/client/test_arguments.py", "-k", "told_by_the_arguments_name")
TYPED: Killers = ("tests/cli/test_main.py",)

DEADLINES = (
    Mutant(
        "at its deadline it isn't too late",
        PURELY,
        "now_ms >= options.deadline_ms",
        "now_ms > options.deadline_ms",
        TABLE,
    ),
    Mutant(
        "what has expired is begun for another attempt",
        PURELY,
        "    if isinstance(verdict, RetryIn):\n        late = too_late(options, ",
        "    if isinstance(verdict, RetryIn):\n        options = Options(deadline_ms="
        "options.deadline_ms)\n        late = too_late(options, ",
        TABLE,
    ),
    Mutant(
        "a retry is judged by when it is asked for",
        PURELY,
        "now_ms + verdict.delay_ms",
        "now_ms",
        TABLE,
    ),
    Mutant(
        "whoever fails under a deadline was ended by it",
        PURELY,
        "if self.is_deadline and timed_out else",
        "if self.is_deadline else",
        TABLE,
    ),
    Mutant(
        "what its deadline has ended has failed",
        WORKER,
        "run.outcome = outcome if run.limit is None else run.limit.judged(outcome)",
        "run.outcome = outcome",
        DURING,
    ),
    Mutant(
        "what comes too late waits behind a door",
        WORKER,
        "if (late := late_by_now(record)) is not None:",
        "if handler is not None and (late := late_by_now(record)) is not None:",
        BEFORE,
    ),
    Mutant(
        "what its deadline has kept from beginning was stopped",
        "engine/runs/start.py",
        "                run.limit = None  # it hasn't begun\n",
        "",
        BEFORE,
    ),
    Mutant(
        "what has waited for its runner begins however late it is",
        START,
        "return None if late is None else TooLate(late)",
        "return None",
        BEFORE,
    ),
    Mutant(
        "a run has its timeout, whatever its deadline",
        START,
        "        run.limit = limit(timeout_s, record.options, wall_ms())\n",
        "        return timeout_s\n",
        DURING,
    ),
    Mutant(
        "a handler isn't told its deadline",
        START,
        "            deadline_ms=record.options.deadline_ms,\n",
        "",
        DURING,
    ),
    Mutant(
        "a job that has a deadline is run in one go with others",
        "engine/runs/plan.py",
        "if record.options.has_limits:",
        "if False:",
        BEFORE,
    ),
    Mutant(
        "what would be due too late waits for that",
        SETTLE,
        "    verdict = unless_late(verdict, record.options, now_ms)\n",
        "",
        AGAIN,
    ),
    Mutant(
        "nobody hears of the last failure",
        SETTLE,
        "keep, now_ms=now_ms, error=why,",
        "keep, now_ms=now_ms,",
        AGAIN,
    ),
    Mutant(
        "who comes later isn't told that it was too late",
        SETTLE,
        "keep_ms = 0 if keep is None else keep.for_ms",
        "keep_ms = 0",
        WAITING,
    ),
    Mutant(
        "a program isn't told its deadline",
        "engine/handlers/command.py",
        "{} if job.deadline is None else",
        "{} if True else",
        PROGRAM,
    ),
    Mutant(
        "what a handler enqueues has no deadline",
        JOBS,
        "deadline_here() if deadline is INHERIT else None",
        "None",
        SAID,
    ),
    Mutant(
        "a handler can't ask for none",
        JOBS,
        "deadline_here() if deadline is INHERIT else None",
        "deadline_here() if deadline is INHERIT or deadline is None else None",
        SAID,
    ),
    Mutant(
        "many jobs have no deadline",
        "client/many.py",
        "self.trace, self.options)\n",
        "self.trace)\n",
        SAID,
    ),
    Mutant(
        "a delay may end after the deadline",
        JOBS,
        "if due_ms > now_ms and (late := too_late(",
        "if False and (late := too_late(",
        REFUSED,
    ),
    Mutant(
        "a point in time may be anybody's",
        ARGUMENTS,
        "    if value.utcoffset() is None:\n",
        "    if value.utcoffset() is None:\n"
        "        value = value.replace(tzinfo=datetime.UTC)\n    if False:\n",
        REFUSED,
    ),
    Mutant(
        "what time.time() says is a time from now",
        "core/valid.py",
        "0 < value <= 30 * 365 * 86400",
        "0 < value",
        REFUSED,
    ),
    Mutant(
        "on the command line a point in time may be anybody's",
        "cli/common.py",
        "if isinstance(said, datetime) and said.utcoffset() is None:",
        "if False:",
        TYPED,
    ),
)
