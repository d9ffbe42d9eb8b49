"""What is broken on purpose: queues that are full."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

ENQUEUE = "store/lua/enqueue/enqueue.lua"
DROP = "store/lua/enqueue/drop.lua"

CONTRACT: Killers = ("tests/store/contract/test_enqueue.py",)

PRESSURE = (
    Mutant(
        "who was cancelled dies for new jobs", DROP,
        "if was_cancelled[i] == 1 then", "if false then", CONTRACT,
    ),
    Mutant(
        "who was cancelled makes room when the oldest go", DROP,
        "left = left - (#oldest - #passed)", "left = left - #oldest", CONTRACT,
    ),
    Mutant(
        "more are dropped than are ready", ENQUEUE,
        "and too_many <= queue.in_line then", "then", CONTRACT,
    ),
    Mutant(
        "a when_full without a max_length is no fault", "core/config/rules.py",
        "queue.when_full is not None and queue.max_length is None", "False",
        ("tests/core/test_config.py",),
    ),
)  # fmt: skip
