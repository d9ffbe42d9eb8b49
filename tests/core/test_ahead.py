"""How much is claimed ahead of the workers."""

from __future__ import annotations

from trioq.core.ahead import AHEAD_MAX, TINY_S, Ahead


def test_nothing_is_held_ahead_of_workers_whose_jobs_are_not_tiny() -> None:
    ahead = Ahead(4)
    assert ahead.jobs == 0  # nothing is known yet
    ahead.ran(1.0)
    assert ahead.jobs == 0


def test_tiny_jobs_are_held_ahead_as_many_as_run_in_a_few_milliseconds() -> None:
    ahead = Ahead(4)
    ahead.ran(0.001, 1000)
    assert ahead.jobs == 4 * 10
    ahead.ran(0.0, 1000)
    assert ahead.jobs == AHEAD_MAX


def test_several_told_together_count_as_much_as_told_one_by_one() -> None:
    together, one_by_one = Ahead(4), Ahead(4)
    together.ran(0.001, 7)
    for _ in range(7):
        one_by_one.ran(0.001)
    assert abs(together.mean_run_s - one_by_one.mean_run_s) < 1e-9


def test_what_takes_long_and_has_not_ended_is_known_to_be_long() -> None:
    ahead = Ahead(4)
    ahead.ran(0.0001, 1000)
    ahead.runs_at_least(0.5)
    assert ahead.mean_run_s == 0.5 > TINY_S
    ahead.runs_at_least(0.1)
    assert ahead.mean_run_s == 0.5
