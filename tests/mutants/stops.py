"""Mutants of how a run ends that somebody wants to end."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

RUN = "engine/runs/run.py"
WORKER = "engine/runs/worker.py"
PATIENCE = "engine/runs/patience.py"
THREADS = "engine/handlers/threads.py"
BEGUN = "engine/handlers/begun.py"

CANCELLED: Killers = ("tests/engine/runs/test_cancelled.py", "--timeout", "60")
ALL_RUNS: Killers = ("tests/engine/runs/test_runs.py",)
CHECKED: Killers = ("tests/engine/handlers/test_check_cancelled.py",)
TRACED: Killers = ("tests/observe/test_cancelled_runs.py",)

STOPS = (
    Mutant(
        "a success that came in spite of a cancel is told as cancelled", RUN,
        "return self.asked is not None and not isinstance(self.outcome, Succeeded)",
        "return self.asked is not None", CANCELLED,
    ),
    Mutant(
        "who ignores a cancel is waited for", RUN,
        "            self.patience.begin(self)\n", "", CANCELLED,
    ),
    Mutant(
        "who is asked twice has two graces", RUN,
        "        if self.asked is None:\n            self.asked = ask\n",
        "        if True:\n            self.asked = ask\n", CANCELLED,
    ),
    Mutant(
        "a handler isn't told why", RUN,
        "self.scope.cancel(reason_of(ask))", "self.scope.cancel()", CANCELLED,
    ),
    Mutant(
        "a worker whose run was cancelled keeps its scope", RUN,
        "return self.cancelled is not None or self.asked is not None",
        "return self.cancelled is not None", ALL_RUNS,
    ),
    Mutant(
        "a job that was cancelled counts against its breaker", "engine/runs/run.py",
        "if is_failure and not self.was_stopped else", "if is_failure else", CANCELLED,
    ),
    Mutant(
        "a run that was asked to end goes back", WORKER,
        "if run is not None and run.was_stopped:", "if run is not None and False:", CANCELLED,
    ),
    Mutant(
        "a run that has ended in time is given up too", WORKER,
        "        if run.given_up is not None:\n            run.given_up.set()\n", "", CANCELLED,
    ),
    Mutant(
        "what was abandoned is settled again when it ends", PATIENCE,
        "run.is_told = run.is_abandoned = True", "run.is_abandoned = True", CANCELLED,
    ),
    Mutant(
        "of what was abandoned isn't kept that it was cancelled", PATIENCE,
        "keep = self.rules.result_of(run.handler, run.stored.record)", "keep = None", CANCELLED,
    ),
    Mutant(
        "a boot waits for what was abandoned", PATIENCE,
        "        self.runs.abandon(run)\n", "        self.runs.abandoned[run] = None\n", CANCELLED,
    ),
    Mutant(
        "an engine claims for a worker that is away", PATIENCE,
        "self.appetite.away += 1", "self.appetite.away += 0", CANCELLED,
    ),
    Mutant(
        "a worker that comes back is away for ever", PATIENCE,
        "self.appetite.away -= 1", "self.appetite.away -= 0", CANCELLED,
    ),
    Mutant(
        "no grace outlives its engine's cancellation", PATIENCE,
        ", shield=True", "", CANCELLED,
    ),
    Mutant(
        "a program is given up while it is killed", PATIENCE,
        "self.grace_s + KILLED_S * is_killed", "self.grace_s", CANCELLED,
    ),
    Mutant(
        "a thread is left alone when its job is cancelled", THREADS,
        "        if grace.given_up is not None:\n"
        "            await end_or_given_up(call.ended_event(), grace.given_up)\n", "", CANCELLED,
    ),
    Mutant(
        "what a thread returns in its grace is lost", THREADS,
        "if grace.given_up is None or call.ended is None:", "if True:", CANCELLED,
    ),
    Mutant(
        "nobody hears that a thread has ended in its grace", THREADS,
        "        if self._tell is not None:\n            self._tell()\n", "", CANCELLED,
    ),
    Mutant(
        "a thread of a row is left alone when its job is cancelled", BEGUN,
        "                await end_or_given_up(ended, grace.given_up)\n", "                pass\n",
        CANCELLED,
    ),
    Mutant(
        "nobody hears that a job of a row has ended in its grace", "engine/runs/hand.py",
        "        if self._ended is not None:\n"
        "            event_of(self.token, self._ended)\n", "", CANCELLED,
    ),
    Mutant(
        "a handler in a process isn't told why", "engine/handlers/runners/inside.py",
        'self._running.cancel(frame["cancel"])', "self._running.cancel()", CANCELLED,
    ),
    Mutant(
        "plain code in the loop doesn't hear of a cancel", "engine/handlers/grace.py",
        "if trio.current_effective_deadline() == -math.inf:", "if False:", CHECKED,
    ),
    Mutant(
        "plain code in the loop doesn't hear why", "engine/handlers/grace.py",
        "return trio.Cancelled._create(source=why.source, reason=why.reason)",
        "return trio.Cancelled._create(source=why.source)", CHECKED,
    ),
    Mutant(
        "of an abandoned handler it is told that it was stopped", "observe/spans.py",
        'word = "ignored" if is_abandoned else _word(settlement, outcome)',
        "word = _word(settlement, outcome)", TRACED,
    ),
    Mutant(
        "an abandoned handler has no span any more", "observe/spans.py",
        "        if not is_abandoned:\n            self.over()\n", "        self.over()\n", TRACED,
    ),
    Mutant(
        "what a cancelled handler made of it is an error in its span", "observe/spans.py",
        "if isinstance(outcome, Failed) and not isinstance(settlement, Cancel):",
        "if isinstance(outcome, Failed):", TRACED,
    ),
)  # fmt: skip
