"""What follows when a child has ended."""

from __future__ import annotations

import signal

import pytest

from trioq.processes.ends import (
    ENDS,
    FAILED,
    FIRST_S,
    LONGEST_S,
    NOTHING,
    WRONG_USE,
    End,
    Ends,
    Follows,
)
from trioq.processes.plan import Phase


def follows(
    phase: Phase,
    code: int,
    *,
    done: bool = False,
    others_ready: bool = False,
    ends: Ends | None = None,
) -> Follows:
    return (ends or Ends()).what_follows(End(phase, code, 1.0, done), 0.0, others_ready)


@pytest.mark.parametrize("code", [0, 1, WRONG_USE, -signal.SIGKILL])
def test_who_was_told_to_drain_has_not_ended_by_itself(code: int) -> None:
    ends = Ends()
    for _ in range(2 * ENDS):
        assert follows("draining", code, ends=ends, done=code == 0) == NOTHING


def test_who_has_seen_that_all_is_done_ends_all() -> None:
    assert follows("ready", 0, done=True) == Follows(stop=0)


def test_who_ends_by_itself_is_replaced_after_a_while() -> None:
    for code in (0, 1, -signal.SIGKILL):
        assert follows("ready", code) == Follows(by_itself=True, wait_s=FIRST_S)
    assert follows("ready", WRONG_USE).wait_s == FIRST_S
    assert follows("starting", 1).wait_s == FIRST_S


def test_a_wrong_start_ends_all_unless_others_are_ready() -> None:
    assert follows("starting", WRONG_USE) == Follows(by_itself=True, stop=WRONG_USE)
    left = follows("starting", WRONG_USE, others_ready=True)
    assert (left.stop, left.wait_s, left.told) == (None, LONGEST_S, "child_not_replaced")


def test_a_wrong_start_beside_others_is_no_end_that_counts() -> None:
    ends = Ends()
    for _ in range(2 * ENDS):
        assert follows("starting", WRONG_USE, ends=ends, others_ready=True).stop is None
    assert ends.early(0.0).wait_s == FIRST_S


def test_each_end_is_followed_by_a_longer_wait() -> None:
    ends = Ends()
    waits = [ends.early(100.0 * n, 1.0).wait_s for n in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert (waits[0], waits[-1]) == (FIRST_S, LONGEST_S)


def test_who_lived_for_a_minute_has_the_waits_begin_anew() -> None:
    ends = Ends()
    assert [ends.early(t, 1.0).wait_s for t in (0.0, 100.0)] == [0.5, 1.0]
    assert ends.early(200.0, 60.0).wait_s == 0.5


def test_five_ends_in_a_minute_are_the_end() -> None:
    ends = Ends()
    assert {ends.early(n, 0.1).stop for n in range(ENDS - 1)} == {None}
    last = ends.early(59.9, 0.1)
    assert (last.stop, last.told) == (FAILED, "children_keep_ending")


def test_five_ends_in_more_than_a_minute_are_not() -> None:
    ends = Ends()
    assert {ends.early(15.0 * n, 0.1).stop for n in range(ENDS + 3)} == {None}
