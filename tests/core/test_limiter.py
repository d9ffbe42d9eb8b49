"""The shared rate limit. Its bound is attacked in ``props/test_limiter.py``."""

from __future__ import annotations

import pytest

from trioq.core.limiter import Grant, grant, interval_us, start_us

NOW = 1_764_000_000_000_000
MS = 1000


def asked(tat_us: int, now_us: int, wanted: int) -> Grant:
    """Of a limit of 100 per second, burst 20."""
    return grant(tat_us, now_us, wanted=wanted, interval_us=10 * MS, burst=20)


@pytest.mark.parametrize(
    ("rate", "us"),
    [(100, 10_000), (0.1, 10_000_000), (3, 333_334), (1e6, 1), (3e6, 1), (7, 142_858)],
)
def test_interval_is_rounded_up_so_that_the_rate_is_never_passed(rate: float, us: int) -> None:
    assert interval_us(rate) == us


def test_fresh_limit_grants_a_burst_at_once_and_no_more() -> None:
    assert asked(0, NOW, 50) == Grant(20, NOW + 200 * MS, 10 * MS)


def test_all_that_was_wanted_leaves_nothing_to_wait_for() -> None:
    assert asked(0, NOW, 20) == Grant(20, NOW + 200 * MS, 0)
    assert asked(0, NOW, 0) == Grant(0, NOW, 0)


def test_used_up_limit_grants_one_permit_each_interval() -> None:
    used_up = NOW + 200 * MS
    assert asked(used_up, NOW + 9_999, 5) == Grant(0, used_up, 1)
    assert asked(used_up, NOW + 10_000, 5) == Grant(1, used_up + 10 * MS, 10 * MS)
    assert asked(used_up, NOW + 35_000, 5) == Grant(3, used_up + 30 * MS, 5 * MS)


def test_quiet_time_saves_up_a_burst_and_no_more() -> None:
    assert asked(NOW + 200 * MS, NOW + 3_600_000 * MS, 50).granted == 20


def test_limit_heals_when_the_clock_went_back_by_years() -> None:
    back = asked(NOW + 200 * MS, NOW - 10**14, 5)
    assert back == Grant(0, NOW - 10**14 + 200 * MS, 10 * MS)
    assert asked(back.tat_us, NOW - 10**14 + back.wait_us, 5).granted == 1


def test_burst_of_one_is_an_even_flow() -> None:
    first = grant(0, NOW, wanted=9, interval_us=1000, burst=1)
    assert first == Grant(1, NOW + 1000, 1000)


@pytest.mark.parametrize("burst", [1, 2, 5])
@pytest.mark.parametrize("ahead", [-(10**9), 0, 1, 9_999, 10_000, 35_000, 10**12])
def test_the_nth_start_is_told_as_it_will_be_granted(ahead: int, burst: int) -> None:
    tat_us = grant(NOW + ahead, NOW, wanted=0, interval_us=10_000, burst=burst).tat_us
    told = [start_us(NOW + ahead, NOW, nth=n, interval_us=10_000, burst=burst) for n in range(8)]
    now_us, starts = NOW, []
    while len(starts) < 8:
        given = grant(tat_us, now_us, wanted=1, interval_us=10_000, burst=burst)
        starts += [now_us] * given.granted
        tat_us, now_us = given.tat_us, now_us + given.wait_us
    assert told == starts
