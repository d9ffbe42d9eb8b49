"""Rates from counts that several processes keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.counting import Sample, TooFew, counts, steady_rate


def test_a_steady_rate_is_that_of_the_middle() -> None:
    """The first tenth, and the last, with few jobs left for many workers, go slower."""
    samples = [Sample(0, ()), Sample(10, (10,)), Sample(12, (50,)), Sample(14, (90,)),
               Sample(30, (100,))]  # fmt: skip
    assert steady_rate(samples, 1) == pytest.approx(80 / 4)


def test_what_one_process_did_before_the_other_began_does_not_count() -> None:
    samples = [Sample(0, (20,)), Sample(5, (60, 0)), Sample(6, (100, 20)), Sample(8, (160, 80)),
               Sample(9, (180, 80))]  # fmt: skip
    assert steady_rate(samples, 2) == pytest.approx((240 - 120) / 2)


def test_a_process_that_came_too_late_makes_no_rate() -> None:
    with pytest.raises(TooFew, match="100 jobs"):
        steady_rate([Sample(0, (50,)), Sample(1, (99, 0)), Sample(2, (99, 1))], 2)


def test_one_look_makes_no_rate() -> None:
    with pytest.raises(TooFew):
        steady_rate([Sample(0, ()), Sample(1, (100,))], 1)


def test_counts_are_those_of_all_processes(tmp_path: Path) -> None:
    (tmp_path / "count-1").write_bytes((300).to_bytes(8, "little"))
    (tmp_path / "count-2").write_bytes((7).to_bytes(8, "little"))
    (tmp_path / "late-1").write_text("5\n")
    assert counts(tmp_path) == (300, 7)
