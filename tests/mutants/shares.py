"""Whose turn it is: what would make shares, and the end of starving, say less than they do."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

SHARES: Killers = ("tests/core/test_fairness.py", "props/test_shares.py")

LATE: Killers = ("tests/engine/shard/test_lateness.py",)

FAIRNESS = "core/fairness.py"

SHARED = (
    Mutant(
        "a queue that was empty has saved its turns up", FAIRNESS,
        "waiting = [ahead[name] for name in ahead if name not in self._empty]",
        "waiting = list(ahead.values())", SHARES,
    ),
    Mutant(
        "who was alone pays for it when others come", FAIRNESS,
        "default=max(ahead.values(), default=0.0)", "default=0.0", SHARES,
    ),
    Mutant(
        "a queue is held for empty that a step didn't look into", FAIRNESS,
        "emptied = order if is_all else order[:last]", "emptied = order", SHARES,
    ),
    Mutant(
        "a step claims as many of a light queue as of a heavy one", FAIRNESS,
        "int(min(TURN, each * self._weights[self.order()[0]]))", "TURN", SHARES,
    ),
    Mutant(
        "many queues are claimed from a few jobs at a time", FAIRNESS,
        "max(TURN / sum(weights), LEAST_TURN / max(weights))", "TURN / sum(weights)", SHARES,
    ),
    Mutant(
        "one of five claims goes to a late queue first", FAIRNESS,
        "self._since_late >= LATE_EVERY - 1", "self._since_late >= LATE_EVERY", SHARES,
    ),
    Mutant(
        "a late queue that is empty stays late until the next look", FAIRNESS,
        "if name not in emptied}", "}", SHARES,
    ),
    Mutant(
        "a claim that brought nothing is a turn", FAIRNESS,
        "        if not claims and not is_all:\n            return\n", "", SHARES,
    ),
    Mutant(
        "who has a fair key is never late", "store/inspect/ages.py",
        "return merged(oldest_plain_ms(store, queues), oldest_keyed_ms(store, queues))",
        "return oldest_plain_ms(store, queues)", LATE,
    ),
)  # fmt: skip
