"""Mutants of how an engine hears of what somebody wants to end."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

PACE = "core/pace.py"
BACKLOG = "engine/backlog.py"
BOOT = "engine/shard/boot.py"
DISPATCH = "engine/shard/dispatcher.py"
INTAKE = "engine/shard/intake.py"
RUNS = "engine/runs/run.py"

ASKED: Killers = ("tests/engine/shard/test_asks.py",)
PUSHED: Killers = ("tests/engine/shard/test_asks_pushed.py",)
BOOTS: Killers = ("tests/engine/shard/test_boot.py",)
BACKLOGS: Killers = ("tests/engine/test_backlog.py",)
PAYLOADS: Killers = ("tests/engine/shard/test_payloads.py", "-k", "taken_out")
HANDS: Killers = ("tests/engine/runs/test_hands.py", "-k", "taken_out")
ALL_RUNS: Killers = ("tests/engine/runs/test_runs.py",)
PACES: Killers = ("tests/core/test_pace.py",)

ASKS = (
    Mutant(
        "who has no room hears of asks at the poll", PACE,
        'return "at bell" if now >= quiet else min(look_again, quiet)', "return look_again", ASKED,
    ),
    Mutant(
        "who has no room waits at a bell whatever begins and ends", PACE,
        'return "at bell" if now >= quiet else min(look_again, quiet)', 'return "at bell"', ASKED,
    ),
    Mutant(
        "who has just begun a job without room waits at a bell", PACE,
        "quiet = max(self._first_outcome, self._began) + quiet_s",
        "quiet = self._first_outcome + quiet_s", PACES,
    ),
    Mutant(
        "who has no room waits at a bell between two ends that come often", PACE,
        "max(QUIET_S, 2 * self._gap_s) if self._gap_s <= OFTEN_S else QUIET_S", "QUIET_S", PACES,
    ),
    Mutant(
        "an engine that leaves waits at a bell that nobody rings", PACE,
        "            return look_again  # nobody", '            return "at bell"  # nobody', PACES,
    ),
    Mutant(
        "an end that makes room waits for company", DISPATCH,
        "LINGER_S if step.want else self._linger_s", "LINGER_S", ASKED,
    ),
    Mutant(
        "a beat that counts other asks makes no step without room", DISPATCH,
        "self._ask(urgently=True)  # a ring", "self.poke()  # a ring", ASKED,
    ),
    Mutant(
        "an engine leaves while its last step is in flight", DISPATCH,
        "            await self._answers.park()\n", "            return\n", PUSHED,
    ),
    Mutant(
        "what waits in the backlog and is to end begins all the same", INTAKE,
        "*self.backlog.take_out(self.by, asked), ", "", ASKED,
    ),
    Mutant(
        "what waits for its payload and is to end begins all the same", INTAKE,
        ", *self.payloads.take_out(asked)]", "]", ASKED,
    ),
    Mutant(
        "what was cancelled instead of going back isn't told of", "engine/shard/telling.py",
        "    for held, ask in absorbed.cancelled:\n", "    for held, ask in ():\n", ASKED,
    ),
    Mutant(
        "who reaps doesn't tell what was cancelled", "engine/shard/reaper.py",
        ", reaped.cancelled", "", ASKED,
    ),
    Mutant(
        "what is told twice is heard twice", BOOT,
        "if claim in self.held and claim not in self.asks", "if claim in self.held", BOOTS,
    ),
    Mutant(
        "what was asked of another claim is heard", BOOT,
        "if claim in self.held and claim not in self.asks", "if claim not in self.asks", BOOTS,
    ),
    Mutant(
        "who asked what has ended is remembered for ever", BOOT,
        "self.asks.pop((held.uid, held.step), None)\n", "pass\n", BOOTS,
    ),
    Mutant(
        "how many asks were heard is forgotten", BOOT,
        "            asked=self.asked,\n", "", BOOTS,
    ),
    Mutant(
        "another boot's claim of the same name is taken out", BACKLOG,
        "return held.by is by and (held.uid, held.step) in claims",
        "return (held.uid, held.step) in claims", BACKLOGS,
    ),
    Mutant(
        "what is set aside and is to end stays", BACKLOG,
        "for jobs in (self.jobs, self.aside):", "for jobs in (self.jobs,):", BACKLOGS,
    ),
    Mutant(
        "who waits for few jobs isn't told when some are taken out", BACKLOG,
        "        self._are_few.set()  # whoever", "        pass  # whoever", BACKLOGS,
    ),
    Mutant(
        "what is behind a payload that is taken out waits for ever", "engine/shard/payloads.py",
        "self._hand_on({})  # what has waited behind", "pass  # what has waited behind", PAYLOADS,
    ),
    Mutant(
        "what a thread has and is to end is run", "engine/runs/pile.py",
        " if (p.held.uid, p.held.step) not in claims]", "]", HANDS,
    ),
    Mutant(
        "what is asked while a thread runs the job gets lost", RUNS,
        "        if left and self._hands[by]:\n", "        if left and False:\n", ALL_RUNS,
    ),
    Mutant(
        "of what is asked while a thread runs jobs only the last counts", RUNS,
        "self._asked.setdefault(by, {}).update(left)", "self._asked[by] = left", ALL_RUNS,
    ),
    Mutant(
        "what was asked of a boot that has ended is remembered", RUNS,
        "        self._ending.pop(by, None)\n        self._asked.pop(by, None)",
        "        self._ending.pop(by, None)", ALL_RUNS,
    ),
    Mutant(
        "what is asked of what has ended is asked of the next run", RUNS,
        "        if left and self._hands[by]:\n", "        if left:\n", ALL_RUNS,
    ),
    Mutant(
        "what was asked of a job that a thread has ended is asked of the next run", RUNS,
        "self._asked.pop(by, None)  # whatever", "pass  # whatever", ALL_RUNS,
    ),
    Mutant(
        "another boot's run of the same name is asked", RUNS,
        "if run.claim.by is by and (ask :=", "if (ask :=", ALL_RUNS,
    ),
)  # fmt: skip
