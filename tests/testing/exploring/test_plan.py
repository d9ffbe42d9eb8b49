"""Which runs there are."""

from __future__ import annotations

import pytest

from trioq.testing.exploring import plan
from trioq.testing.exploring.plan import Fault
from trioq.testing.exploring.stepped import Frame, Kind, Place


def place(kind: Kind, line: int = 1) -> Place:
    return Place(kind, "charge", (Frame("charge.py", line, f"{kind} …"),))


def test_each_fault_comes_at_each_step_the_plainest_first() -> None:
    places = [place("start"), place("in"), place("end")]
    assert plan.runs(places, 1, plan.kinds(["crash", "cancel", "lost"])) == [
        (Fault("crash", 1),),
        (Fault("crash", 2),),
        (Fault("crash", 3),),
        (Fault("cancel", 2),),
        (Fault("lost-request", 1),),
        (Fault("lost-reply", 1),),
    ]


def test_of_a_loop_the_first_turn_and_the_last_come_before_those_between() -> None:
    places = [place("in")] * 5 + [place("after")]
    runs = plan.runs(places, 0, ("crash", "cancel"))
    assert list(map(plan.told, runs)) == [
        *("crash@1", "crash@5", "crash@6", "cancel@1", "cancel@5", "cancel@6"),
        *("crash@2", "crash@3", "crash@4", "cancel@2", "cancel@3", "cancel@4"),
    ]


def test_the_budget_chooses_by_its_seed() -> None:
    runs = plan.runs([place("in", line) for line in range(99)], 0, ("crash",))
    chosen = plan.within(10, runs, 1)
    assert len(chosen) == 10
    assert chosen == plan.within(10, runs, 1) != plan.within(10, runs, 2)
    assert plan.within(99, runs, 1) == runs


@pytest.mark.parametrize("text", ["none", "crash@3", "freeze@1+cancel@20", "lost-reply@2"])
def test_what_is_written_is_read(text: str) -> None:
    assert plan.told(plan.read(text)) == text


@pytest.mark.parametrize("text", ["crash", "crash@0", "crush@1", "crash@1+"])
def test_what_is_no_step_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="expected crash@3"):
        plan.read(text)
