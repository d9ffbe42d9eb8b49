"""What a supervisor does next."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trioq.processes.plan import Drain, Phase, Seen, Start, next_act

FIRST, ANOTHER = Start(leads=True), Start(leads=False)


def ready(*numbers: int, leaving: tuple[int, ...] = (), leads: int = 1) -> list[Seen]:
    return [Seen(n, "ready", "old code" if n in leaving else "", n == leads) for n in numbers]


def test_children_are_started_in_turn() -> None:
    assert next_act([], 2) == FIRST
    assert next_act([Seen(1, "starting")], 2) is None
    assert next_act(ready(1), 2) == ANOTHER
    assert next_act(ready(1, 2), 2) is None


def test_one_that_is_to_be_replaced_drains_when_another_is_ready() -> None:
    assert next_act(ready(1, 2, leaving=(2,)), 2) == ANOTHER
    assert next_act([*ready(1, 2, leaving=(1,)), Seen(3, "starting")], 2) is None
    assert next_act(ready(1, 2, 3, leaving=(1,)), 2) == Drain(1, "old code")


def test_two_are_never_replaced_at_once() -> None:
    draining = Seen(1, "draining", "old code")
    assert next_act([draining, *ready(2, 3, leaving=(2,))], 2) is None


def test_a_child_that_is_missing_is_started_while_another_drains() -> None:
    assert next_act([Seen(1, "draining", "old code"), *ready(2, leads=2)], 2) == ANOTHER


def test_there_is_one_that_leads_also_when_it_is_replaced_or_fewer_are_wanted() -> None:
    assert next_act(ready(2), 2) == FIRST
    assert next_act(ready(1, 2, leaving=(1,)), 2) == FIRST
    assert next_act([Seen(1, "draining", leads=True), *ready(2)], 2) == FIRST
    assert next_act(ready(1, 2, leads=2), 1) == Drain(1, "fewer are wanted")


def test_the_youngest_goes_when_fewer_are_wanted() -> None:
    assert next_act(ready(1, 2, 3), 2) == Drain(3, "fewer are wanted")
    assert next_act(ready(1), 0) == Drain(1, "fewer are wanted")


PHASES: tuple[Phase, ...] = ("starting", "ready", "draining")


@given(
    st.lists(st.tuples(st.sampled_from(PHASES), st.booleans(), st.booleans()), max_size=6),
    st.integers(0, 4),
)
def test_it_settles_whatever_there_is(
    children: list[tuple[Phase, bool, bool]], wanted: int
) -> None:
    """And never fewer are ready on the way than were, or than are wanted."""
    seen = {
        n: Seen(n, phase, "old" if old else "", leads)
        for n, (phase, old, leads) in enumerate(children, 1)
    }
    at_least = min(wanted, sum(child.phase == "ready" for child in seen.values()))
    number = len(seen)
    for _ in range(60):
        match next_act(list(seen.values()), wanted):
            case Start(leads):
                number += 1
                seen[number] = Seen(number, "starting", leads=leads)
            case Drain(n, _):
                seen[n] = evolve(seen[n], phase="draining")
            case None:
                unfinished = [c for c in seen.values() if c.phase != "ready"]
                if not unfinished:
                    break
                first = unfinished[0]
                if first.phase == "starting":
                    seen[first.number] = evolve(first, phase="ready")
                else:
                    del seen[first.number]
        assert sum(c.phase == "ready" for c in seen.values()) >= at_least
        assert len(seen) <= max(len(children), wanted) + 2
    assert [c.phase for c in seen.values()] == ["ready"] * wanted
    assert not any(c.leaving for c in seen.values())
