"""Processes of an engine: what would lose jobs, keep processes, or give a run another meaning."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

RUNNER = "engine/handlers/runners/runner.py"
POOL = "engine/handlers/runners/pool.py"
INSIDE = "engine/handlers/runners/inside.py"
ENDING = "engine/handlers/ending.py"
START = "engine/runs/start.py"

PROCESSES: Killers = ("tests/engine/handlers/runners/test_runners.py",)
FITNESS: Killers = ("tests/engine/handlers/runners/test_fitness.py",)
ENDS: Killers = ("tests/engine/handlers/runners/test_same_ends.py",)
APART: Killers = ("tests/engine/runs/test_apart.py",)
OUTSIDE: Killers = ("tests/test_isolation.py",)

RUNNERS = (
    Mutant(
        "a handler of a process of its own runs in the engine", "registry.py",
        "handlers[name] = Apart(here.in_loop(function), runners)", "handlers[name] = function",
        (*APART, "-k", "where"),
    ),
    Mutant(
        "the time that a job waits for a runner is its handler's", START,
        "            run.began = trio.current_time()\n            return await",
        "            return await", APART,
    ),
    Mutant(
        "a job that has waited for a runner starts on any lease", START,
        "            if (hindered := _hindered(run)) is not None:\n"
        "                run.limit = None  # it hasn't begun\n"
        "                return hindered\n", "", APART,
    ),
    Mutant(
        "a runner that ran out of memory is used again", POOL,
        'outcome.error.kind == "timeout" or outcome.error.type == "MemoryError"',
        'outcome.error.kind == "timeout"', PROCESSES,
    ),
    Mutant(
        "a runner is used one job too often", POOL,
        "runner.jobs >= self.jobs_each", "runner.jobs > self.jobs_each", PROCESSES,
    ),
    Mutant(
        "what a handler returns in spite of the engine's end is lost", POOL,
        "            if isinstance(ended, Interrupted):\n",
        "            if not isinstance(ended, Failed):\n", ENDS,
    ),
    Mutant(
        "what a job has left behind is only asked to end", RUNNER,
        "        self._signal(signal.SIGKILL)\n        self._hearing.deadline",
        "        self._hearing.deadline", PROCESSES,
    ),
    Mutant(
        "half a job is followed by its cancellation", RUNNER,
        "            if self._knows:\n", "            if True:\n", PROCESSES,
    ),
    Mutant(
        "a fork of the engine keeps its runners alive", RUNNER,
        "        os.dup2(nothing, runner._life)\n", "", OUTSIDE,
    ),
    Mutant(
        "a runner that lacks a handler is as good as any", RUNNER,
        "    if not missing:\n", "    if True:\n", PROCESSES,
    ),
    Mutant(
        "a runner outlives its engine while it computes", INSIDE,
        "fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC", "fcntl.fcntl(life, fcntl.F_GETFL)",
        OUTSIDE,
    ),
    Mutant(
        "only the runner itself ends with its engine", INSIDE,
        "fcntl.F_SETOWN, -os.getpgrp()", "fcntl.F_SETOWN, os.getpid()", OUTSIDE,
    ),
    Mutant(
        "a signal to all processes of a service ends its jobs", INSIDE,
        "        signal.signal(number, lambda number, frame: None)\n",
        "        signal.signal(number, signal.SIG_DFL)\n", PROCESSES,
    ),
    Mutant(
        "programs of handlers ignore what their runner does not heed", INSIDE,
        "        signal.signal(number, lambda number, frame: None)\n",
        "        signal.signal(number, signal.SIG_IGN)\n", PROCESSES,
    ),
    Mutant(
        "a cancelled thread is left behind in a runner, too", INSIDE,
        "            ended = await trio.to_thread.run_sync(caught)\n",
        "            ended = await trio.to_thread.run_sync(caught, abandon_on_cancel=True)\n",
        PROCESSES,
    ),
    Mutant(
        "what a limit leaves no memory for comes back for ever", INSIDE,
        "        if self.limits_memory and isinstance(outcome, Starved):\n", "        if False:\n",
        PROCESSES,
    ),
    Mutant(
        "what was printed before a crash is lost", "runner.py",
        "        sys.stdout.reconfigure(line_buffering=True)", "        pass", PROCESSES,
    ),
    Mutant(
        "an app of the program that is run is looked for in vain", "isolation.py",
        '        if name != "__main__"\n', "", OUTSIDE,
    ),
    Mutant(
        "a job that waits for a runner is never called", "engine/runs/worker.py",
        "                shop.aside.recall()\n", "                pass\n", APART,
    ),
    Mutant(
        "jobs that wait for a runner are counted as if workers had them", "engine/shard/demand.py",
        "- (unsettled - aside)", "- unsettled", APART,
    ),
    Mutant(
        "jobs are claimed without end while they wait for a runner", "engine/wiring.py",
        "return None if is_enough else len(self.backlog.aside)", "return len(self.backlog.aside)",
        APART,
    ),
    Mutant(
        "a queue whose jobs wait for runners keeps others from being claimed from",
        "engine/runs/aside.py", "if waiting[queue] < self.enough)", "if True)", APART,
    ),
    Mutant(
        "what is aside of a boot that ends is forgotten", "engine/backlog.py",
        "        self.jobs.extend(self.aside)\n", "",
        ("tests/engine/test_backlog.py",),
    ),
    Mutant(
        "a runner that was told to end its job is kept", POOL,
        "if runner.is_fit and not is_worn and self._nursery", "if not is_worn and self._nursery",
        FITNESS,
    ),
    Mutant(
        "a runner that has ended is given a job", RUNNER,
        " and not self._leader.has_ended()", "", FITNESS,
    ),
    Mutant(
        "a runner that is to leave is given a job after its last", RUNNER,
        "self.is_fit = not self._until_told.cancel_called", "self.is_fit = True", FITNESS,
    ),
    Mutant(
        "a runner whose job took too long is used again", POOL,
        'outcome.error.kind == "timeout" or outcome.error.type', "outcome.error.type", FITNESS,
    ),
    Mutant(
        "a job's time counts from when its runner hears of it", INSIDE,
        'since = trio.current_time() - (time.monotonic() - frame["began"])',
        "since = trio.current_time()", FITNESS,
    ),
)  # fmt: skip
