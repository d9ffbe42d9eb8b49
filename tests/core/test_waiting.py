"""Which runs and engines can do nothing but wait, and whether they wait for each other."""

from __future__ import annotations

import pytest

from trioq.core.board import Board
from trioq.core.waiting import Circle, Told, Waiting, circle, of_engine, of_run

LOW, HIGH, BOTH = frozenset({"low"}), frozenset({"high"}), frozenset({"low", "high"})
NONE = frozenset[str]()


def told(serves: frozenset[str], waits_for: frozenset[str], since: float, at: float) -> Told:
    return Told(serves, waits_for, since, at)


def test_a_run_waits_for_all_of_it_since_the_oldest() -> None:
    assert of_run([]) is None
    assert of_run([Waiting(LOW, 3.0), Waiting(HIGH, 5.0)]) == Waiting(BOTH, 3.0)


def test_an_engine_waits_when_all_its_workers_do_since_the_last() -> None:
    waits = [Waiting(LOW, 3.0), Waiting(HIGH, 5.0)]
    assert of_engine(waits, 2) == Waiting(BOTH, 5.0)
    assert of_engine(waits, 3) is None
    assert of_engine([*waits, None], 3) is None
    assert of_engine([], 0) is None


def test_one_that_waits_for_its_own_queue_waits_for_itself() -> None:
    engines = {"a": told(LOW, LOW, 3.0, 10.0), "b": told(HIGH, NONE, 0.0, 10.0)}
    assert circle("a", engines) == Circle(frozenset("a"), LOW, 7.0)
    assert circle("b", engines) is None


@pytest.mark.parametrize(
    "other",
    [told(LOW, NONE, 0.0, 10.0), told(BOTH, NONE, 0.0, 10.0), told(LOW, frozenset({""}), 0.0, 9.0)],
    ids=["free", "free, and serves more", "waits for nobody knows what"],
)
def test_who_can_go_on_breaks_it(other: Told) -> None:
    assert circle("a", {"a": told(LOW, LOW, 3.0, 10.0), "b": other}) is None


def test_those_that_it_waits_for_in_turn_are_in_it() -> None:
    engines = {
        "a": told(LOW, HIGH, 3.0, 10.0),
        "b": told(HIGH, frozenset({"third"}), 4.0, 9.0),
        "c": told(frozenset({"third"}), LOW, 1.0, 11.0),
    }
    all_queues = frozenset({"low", "high", "third"})
    for name in engines:
        assert circle(name, engines) == Circle(frozenset("abc"), all_queues, 5.0)
    engines["c"] = told(frozenset({"third"}), NONE, 1.0, 11.0)
    assert circle("a", engines) is None


def test_what_was_never_so_of_all_at_one_moment_has_lasted_for_less_than_nothing() -> None:
    engines = {"a": told(LOW, LOW, 3.0, 10.0), "b": told(LOW, LOW, 0.0, 2.0)}
    found = circle("a", engines)
    assert found is not None
    assert found.for_s == -1.0


def test_a_board_says_what_is_waited_for_while_it_is() -> None:
    board = Board()
    with board.waits(["low"]):
        first = board.waiting
        assert first is not None
        with board.waits(["high"]):
            assert board.waiting == Waiting(BOTH, first.since)
        assert board.waiting == first
        assert not board.has_news, "the server isn't told of it"
    assert board.waiting is None


def test_a_board_elsewhere_has_the_same() -> None:
    board, copy = Board(), Board()
    with board.waits(["low", "high"]):
        copy.copy(**board.news())
        assert copy.waiting == board.waiting is not None
    copy.copy(**board.news())
    assert copy.waiting is None
