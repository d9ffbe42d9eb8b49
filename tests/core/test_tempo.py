"""What is quick enough to be run in a row with others."""

from __future__ import annotations

import pytest

from trioq.core.tempo import QUICK_S, Tempo


def test_who_has_not_run_yet_is_taken_for_quick() -> None:
    assert Tempo().is_quick


def test_one_that_takes_long_is_not_quick_until_many_were() -> None:
    tempo = Tempo()
    tempo.runs_at_least(0.01)
    assert not tempo.is_quick
    tempo.ran(0.0)
    assert not tempo.is_quick
    tempo.ran(0.0, 30)
    assert tempo.is_quick
    tempo.runs_at_least(QUICK_S / 2)
    assert tempo.is_quick


def test_several_told_together_count_as_much_as_told_one_by_one() -> None:
    together, one_by_one = Tempo(), Tempo()
    together.ran(0.001, 7)
    for _ in range(7):
        one_by_one.ran(0.001)
    assert together.mean_s == pytest.approx(one_by_one.mean_s)
