"""Is a store right? The machines that trioq's own stores are tried with, for whoever writes one.

    from trioq.testing import machines

    TestMyStore = machines.store_test(lambda options: MyStore(options))

Needs Hypothesis (``pip install trioq[machines]``), which nothing else of trioq loads.
docs/machines.md tells more.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings

from trioq.store.protocol import StoreOptions
from trioq.testing.machines.calls import Call
from trioq.testing.machines.counting import meets
from trioq.testing.machines.lockstep import LockStep, MakeStore
from trioq.testing.machines.store import PROMISES, StoreMachine

__all__ = ["Call", "LockStep", "MakeStore", "StoreMachine", "StoreOptions", "as_test", "store_test"]


def store_test(make: MakeStore, *, examples: int | None = None, whole: bool = True) -> Any:
    """A test case that tries a store with all calls there are.

    Args:
      make: Makes a store with nothing in it, whose clock is ``options.clock_ms``. What it
          makes is closed after each example, if it has a ``close``.
      examples: How many are tried; None: as many as Hypothesis's settings say.
      whole: Whether it fails, too, if chance hasn't brought about every kind of answer: nothing is
          proved of what was never met.

    Returns:
      A :class:`unittest.TestCase`, for pytest to find under a name that begins with ``Test``.
    """

    class Machine(StoreMachine):
        pass

    Machine.make = staticmethod(make)
    return as_test(Machine, *(PROMISES if whole else ()), examples=examples)


def as_test(machine: type[LockStep], *promises: str, examples: int | None = None) -> Any:
    """A machine as a test case.

    Args:
      promises: What it must have met, in the words of its ``reached``.
      examples: How many are tried; None: as many as Hypothesis's settings say.
    """
    case = meets(machine, *promises)
    if examples is not None:
        case.settings = settings(case.settings, max_examples=examples)
    return case
