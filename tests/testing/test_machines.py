"""The machines find what is wrong with a store, and nothing where nothing is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import rule
from hypothesis.strategies import integers

from trioq.store.memory import MemoryStore
from trioq.testing import machines

PAGE = Path(__file__).parent.parent.parent / "docs" / "machines.md"


def run(case: Any, steps: int = 50) -> None:
    """A test case, quickly, and the same each time."""
    quick = settings(
        derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    examples = case.settings.max_examples
    case.settings = settings(quick, max_examples=examples, stateful_step_count=steps)
    case("runTest").runTest()


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the programs of the page make."""
    names: dict[str, Any] = {}
    for program in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(program, names)
    return names


def test_the_specification_is_what_it_says() -> None:
    run(machines.store_test(MemoryStore, examples=5, whole=False))


def test_the_fault_of_the_page_is_found(page: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="Call\\(verb='observe'"):
        run(page["TestSparing"])


def test_the_machine_of_the_page_is_satisfied(page: dict[str, Any]) -> None:
    run(page["TestPausing"])


def test_a_call_that_is_executed_twice_is_found() -> None:
    class Deaf(MemoryStore):
        """Takes the second copy of a pause for another one."""

        def pause(self, sender: str, number: int, *args: Any) -> Any:
            self.calls = getattr(self, "calls", 0) + 1
            return super().pause(f"{sender}.{self.calls}", number, *args)

    with pytest.raises(AssertionError):
        run(machines.store_test(Deaf, examples=20, whole=False))


def test_what_was_never_met_is_a_failure_that_names_it() -> None:
    class Idle(machines.LockStep):
        make = staticmethod(MemoryStore)

        @rule(_=integers())  # else examples are few, and others are looked for in vain
        def register(self, _: int) -> None:
            self.execute(machines.Call("register", ("e.1", b"{}")))

    run(machines.as_test(Idle, "register: something", examples=2), steps=3)
    with pytest.raises(AssertionError, match="never met: step: claims a suspect"):
        run(machines.as_test(Idle, "step: claims a suspect", examples=2), steps=3)


def test_a_store_is_closed_after_each_example() -> None:
    opened, closed = [], []

    class Counted(MemoryStore):
        def __init__(self, options: Any) -> None:
            super().__init__(options)
            opened.append(self)

        def close(self) -> None:
            closed.append(self)

    run(machines.store_test(Counted, examples=3, whole=False))
    assert opened == closed != []
