"""What is broken on purpose: what is told of wrong configurations."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

READ: Killers = ("tests/settings/test_read.py",)
CHECK: Killers = ("tests/cli/test_config.py",)
FIT: Killers = ("tests/engine/handlers/test_limited.py",)

LIMITED = "engine/handlers/limited.py"

WRONG = (
    Mutant(
        "what follows from a wrong value is told as a fault of its own", "settings/read.py",
        "*_not_about(wrong, combined)", "*combined", READ,
    ),
    Mutant(
        "an empty key makes one limit for all of a limit for each", "core/config/texts.py",
        "empty_is_absent=False", "empty_is_absent=True", READ,
    ),
    Mutant(
        "a bad name hides all other faults of limits", "core/config/rules.py",
        "    yield from wrong\n",
        "    yield from wrong\n"
        "    if odd := [*_names(config)]:\n        yield from odd\n        return\n", READ,
    ),
    Mutant(
        "faults of the app are told when those of the file are mended", "cli/config.py",
        "load(config, also=app_faults)", "load(config)", CHECK,
    ),
    Mutant(
        "serve tells faults of the app when those of the file are mended", "cli/serve.py",
        "load(path, also=app_faults)", "load(path)", CHECK,
    ),
    Mutant(
        "what a variable says wrong of jobs is told of the file", "core/config/rules.py",
        "where or config.source", "config.source", CHECK,
    ),
    Mutant(
        "a limit that can't be ends the search for more", LIMITED,
        "flow(attrs.evolve(config, limits=right))", "flow(config)", CHECK,
    ),
    Mutant(
        "of a limit that handler and configuration say alike a job takes twice", LIMITED,
        "dict.fromkeys((each.name, each.key) for each in plan.limits)",
        "[(each.name, each.key) for each in plan.limits]", FIT,
    ),
    Mutant(
        "handlers may say different things of one limit", LIMITED,
        "if not limit.agrees(other):", "if False:", FIT,
    ),
)  # fmt: skip
