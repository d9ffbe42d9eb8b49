"""Several processes: who is started, told, counted and left alone."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

PLANNED: Killers = ("tests/processes/test_plan.py",)
LIMITED: Killers = ("tests/processes/test_limits.py",)
ENDED: Killers = ("tests/processes/test_ends.py",)
MERGED: Killers = ("tests/processes/test_merge.py",)
MADE_OF: Killers = ("tests/processes/test_parts.py",)
SUPERVISED: Killers = ("tests/processes/test_supervisor.py",)

PLAN = "processes/plan.py"
ENDS = "processes/ends.py"
SUPERVISOR = "processes/supervisor.py"

PROCESSES = (
    Mutant(
        "two processes are replaced at once", PLAN,
        'if any(child.leaving and child.phase == "draining" for child in children):', "if False:",
        PLANNED,
    ),
    Mutant(
        "an old process drains before another is ready", PLAN,
        "if len(ready) == wanted > 0:", "if False:", PLANNED,
    ),
    Mutant(
        "nobody scans when who did is replaced", PLAN,
        'return child.phase != "draining" and not child.leaving',
        'return child.phase != "draining"', PLANNED,
    ),
    Mutant(
        "who scans is taken away", PLAN,
        "[child for child in ready if not child.leads] or ready", "ready", PLANNED,
    ),
    Mutant(
        "a process that keeps ending is started for ever", ENDS,
        "now - self._ends[0] < MINUTE_S", "now - self._ends[0] < 0", ENDED,
    ),
    Mutant(
        "a process is replaced for what a fresh one has too", "processes/limits.py",
        " and not self.is_futile(usage)", "", LIMITED,
    ),
    Mutant(
        "what an ended process has counted is forgotten", "processes/merge.py",
        "made = dict(ended.sums)", "made: dict[str, Family] = {}", MERGED,
    ),
    Mutant(
        "what is counted of a namespace is summed over processes", "processes/merge.py",
        " and not family.name.startswith(OF_ALL)", "", MERGED,
    ),
    Mutant(
        "after half a message another is sent", "processes/channel.py",
        "                await trio.aclose_forcefully(self._stream)\n", "", MADE_OF,
    ),
    Mutant(
        "a part of a core is none", "processes/cores.py",
        "math.ceil(int(used) / int(period))", "int(used) // int(period)", MADE_OF,
    ),
    Mutant(
        "a process that drains is hurried when all are told to stop", "processes/child.py",
        'if self.phase != "draining":', "if True:", SUPERVISED,
    ),
    Mutant(
        "a process whose supervisor is gone goes on", "processes/inside.py",
        "        self.orphaned()\n", "", SUPERVISED,
    ),
    Mutant(
        "a deployment that is wrong ends what runs", ENDS,
        "if others_ready:", "if False:", ENDED,
    ),
    Mutant(
        "a leader that was told to drain has seen that all is done", ENDS,
        'if end.phase == "draining":', 'if end.phase == "draining" and not end.saw_all_done:',
        ENDED,
    ),
    Mutant(
        "a process that stands still is as ready as it was", "processes/health.py",
        "if not child.answers:", "if False:", SUPERVISED,
    ),
    Mutant(
        "what a process has told of its metrics is forgotten when it tells how it is",
        "processes/child.py", 'message.get("page", self.page)', 'message.get("page", "")',
        SUPERVISED,
    ),
    Mutant(
        "a process has grown since it was last asked", "processes/child.py",
        "at_start = self.usage.rss_at_start if self.usage else rss", "at_start = rss", SUPERVISED,
    ),
    Mutant(
        "processes that start together are replaced together", SUPERVISOR,
        "self.terms.limits.jittered()", "self.terms.limits", SUPERVISED,
    ),
    Mutant(
        "a Ctrl-C ends processes by itself", "processes/child.py",
        "                    process_group=0,\n", "", SUPERVISED,
    ),
    Mutant(
        "SIGHUP leaves the limits as they were", SUPERVISOR, "        self.terms = terms\n", "",
        SUPERVISED,
    ),
    Mutant(
        "SIGHUP takes back what was scaled", SUPERVISOR,
        "if terms.processes != self.terms.processes:", "if True:", SUPERVISED,
    ),
    Mutant(
        "a process that is being started while all are told to stop goes on", SUPERVISOR,
        "        if self._code is not None:\n            child.drain()", "        if False:\n"
        "            child.drain()", SUPERVISED,
    ),
    Mutant(
        "programs that a process starts keep its line open", "processes/inside.py",
        "        os.set_inheritable(fd, False)\n", "", MADE_OF,
    ),
)  # fmt: skip
