"""What a machine has really done: it proves nothing of what it never met.

A machine counts what it reaches, under the words of its promises; its test fails if one of
them was never put to the test, in whatever profile it runs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

#: What is rare may not come in the few examples of a quick profile: so many times more are tried,
#: the same each time.
MORE = 6


class Counting:
    """Counts over all examples of one test."""

    reached: ClassVar[Counter[str]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.reached = Counter()


def meets(machine: Any, *promises: str) -> Any:
    """The machine's test, which fails if it didn't meet each of these."""
    case = machine.TestCase

    class Test(case):  # type: ignore[misc, valid-type]
        def runTest(self) -> None:  # noqa: N802 (as unittest calls it)
            machine.reached.clear()
            super().runTest()
            for number in range(MORE):
                if not self.missed():
                    return
                run_state_machine_as_test(seed(number)(machine), settings=case.settings)
                del machine._hypothesis_internal_use_seed
            missed = ", ".join(self.missed())
            assert not missed, f"never met: {missed}; met: {dict(machine.reached)}"

        def missed(self) -> list[str]:
            return [promise for promise in promises if not machine.reached[promise]]

    Test.__name__ = Test.__qualname__ = case.__name__
    return Test
