"""How much is claimed ahead of the workers."""

from __future__ import annotations

import pytest

from trioq.core.ahead import AHEAD_BYTES, AHEAD_MAX, AHEAD_S, FULL_BYTES, Ahead
from trioq.core.calls import BATCH_MAX, Claim, Step, StepReply


def test_nothing_is_held_ahead_of_workers_whose_jobs_take_long() -> None:
    ahead = Ahead(4)
    assert ahead.jobs == 0  # nothing is known yet
    for _ in range(100):
        ahead.ran(1.0)
        assert ahead.jobs == 0


def test_as_many_are_held_ahead_as_begin_in_a_moment() -> None:
    ahead = Ahead(4)
    for _ in range(1000):
        ahead.ran(0.001)
    assert ahead.jobs == pytest.approx(AHEAD_S / 0.001 * 4, abs=1)
    ahead.ran_alone(0.0, 1000)
    assert ahead.jobs == AHEAD_MAX


def test_more_workers_begin_more_at_a_time() -> None:
    """Thirty milliseconds are long for one worker, and short for 64."""
    jobs = []
    for workers in (1, 64):
        ahead = Ahead(workers)
        for _ in range(1000):
            ahead.ran(0.030)
        jobs.append(ahead.jobs)
    assert jobs == [0, 42]


def test_who_keeps_the_others_waiting_makes_no_use_of_them() -> None:
    ahead = Ahead(64)
    ahead.ran_alone(0.001, 1000)
    assert ahead.jobs == pytest.approx(AHEAD_S / 0.001, abs=1)


def test_several_told_together_count_as_much_as_told_one_by_one() -> None:
    together, one_by_one = Ahead(4), Ahead(4)
    together.ran_alone(0.001, 7)
    for _ in range(7):
        one_by_one.ran(0.004)
    assert together.gap_s == pytest.approx(one_by_one.gap_s)


def test_what_takes_long_and_has_not_ended_is_known_to_be_long() -> None:
    ahead = Ahead(4)
    ahead.ran_alone(0.0001, 1000)
    ahead.none_began(0.5)
    assert ahead.jobs == 0
    ahead.none_began(0.1)
    assert ahead.gap_s == 0.5


def test_big_payloads_are_held_ahead_only_as_far_as_they_may_be_fetched() -> None:
    ahead = Ahead(16)
    ahead.ran_alone(0.0, 1000)
    ahead.claimed(0, 16)
    assert ahead.jobs == AHEAD_MAX, "who has none isn't bounded by bytes"
    ahead.claimed(1000 << 20, 1000)
    assert ahead.jobs == AHEAD_BYTES >> 20
    ahead.claimed(0, 1000)
    assert ahead.jobs == AHEAD_MAX, "nor who had some long ago"
    ahead.claimed(0, 0)
    assert ahead.jobs == AHEAD_MAX


def test_jobs_whose_results_are_large_are_held_ahead_only_as_far_as_these_may_wait() -> None:
    ahead = Ahead(16)
    ahead.ran_alone(0.0, 1000)
    ahead.returned(0, 1000)
    assert ahead.jobs == AHEAD_MAX, "who has none isn't bounded by bytes"
    ahead.returned(1000 << 16, 1000)
    assert ahead.jobs == AHEAD_BYTES >> 16
    ahead.claimed(0, 1000)
    assert ahead.jobs == AHEAD_BYTES >> 16, "payloads are another matter"
    ahead.returned(0, 1000)
    assert ahead.jobs == AHEAD_MAX, "nor who had some long ago"


def step_of(ahead: Ahead, want: int, got: int, size: int, left: int = 1000) -> None:
    """A step that asks for so many gets so many of this size."""
    claims = tuple(Claim(f"{n}", b"x" * size, 0, False) for n in range(got))
    step = Step("boot", 1, want, ("low",))
    ahead.answered(step, StepReply("ok", frozenset(), claims, got, left, None, 0, None))


def test_what_an_answer_has_no_room_for_is_not_asked_for_again() -> None:
    ahead = Ahead(4)
    step_of(ahead, BATCH_MAX, 128, 8192)
    assert ahead.fits == 161
    step_of(ahead, 161, 128, 8192)
    assert ahead.fits == 161, "a few more, so that it's seen when they become smaller"
    step_of(ahead, 161, 161, 100)
    assert ahead.fits == 322
    for _ in range(5):
        step_of(ahead, 322, 322, 100)
    assert ahead.fits == BATCH_MAX
    step_of(ahead, BATCH_MAX, 1, 1 << 20)
    assert ahead.fits == 2, "and never nothing"


def test_an_answer_that_comes_short_for_another_reason_changes_nothing() -> None:
    ahead = Ahead(4)
    step_of(ahead, BATCH_MAX, 0, 0)  # all were cancelled where they lay
    step_of(ahead, BATCH_MAX, 100, FULL_BYTES // 100 - 1)
    step_of(ahead, BATCH_MAX, 100, 8192, left=0)  # there were no more
    step_of(ahead, 0, 0, 0)
    assert ahead.fits == BATCH_MAX
