"""How often what is to hold of anything is tried: the profiles of Hypothesis.

The quick one, which ``make test`` runs, tries the same cases each time, so that what breaks it is a
change. The long one, ``make props`` (``TRIOQ_TEST_PROPS=long``), draws new ones each time: many
times as many, and longer ones where a machine makes steps. No case has a deadline of its own: how
long it takes is the business of who else is on the machine.

Ten thousand tests stay to the end: garbage isn't looked for while they are collected, and later
among what tests make alone.
"""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "quick",
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long",
    max_examples=1000,
    stateful_step_count=80,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "mutants",  # a failure is all that is asked for, not the smallest
    settings.get_profile("quick"),
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile(os.environ.get("TRIOQ_TEST_PROPS", "quick"))


def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
