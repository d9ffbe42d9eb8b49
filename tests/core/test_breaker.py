"""The circuit breaker: closed, open, half-open."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from trioq.core.breaker import BUCKETS, UNLIMITED, Breaker, Change, Permit, Settings, Verdict
from trioq.errors import TrioqBug

SETTINGS = Settings(
    failure_threshold=0.5, window_s=60, cooldown_s=30, min_samples=4, probe_lease_s=20
)
REOPENS = 130.0


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(SETTINGS)


def permit_of(breaker: Breaker, now: float) -> Permit:
    permit = breaker.admit(now)
    assert permit is not None
    return permit


def run(breaker: Breaker, verdict: Verdict, now: float = 100.0) -> Change | None:
    return breaker.record(permit_of(breaker, now), verdict, now)


def trip(breaker: Breaker, now: float = 100.0) -> None:
    changes = [run(breaker, "failure", now) for _ in range(4)]
    assert changes == [None, None, None, Change("closed", "open", now)]


def test_closed_breaker_admits_any_number(breaker: Breaker) -> None:
    assert breaker.state(0) == "closed"
    assert breaker.room(0) == UNLIMITED
    assert all(breaker.admit(0) for _ in range(1000))
    assert breaker.reopens_at(0) is None
    assert breaker.poll(1e9) is None


def test_breaker_opens_at_the_threshold_and_not_below_it(breaker: Breaker) -> None:
    for verdict in ("success", "success", "success", "failure", "failure"):
        assert run(breaker, verdict) is None  # 2 of 5
    assert run(breaker, "failure") == Change("closed", "open", 100)  # 3 of 6


def test_the_threshold_is_met_exactly_whatever_floats_say() -> None:
    breaker = Breaker(Settings(0.28, window_s=60, cooldown_s=30, min_samples=25))
    for _ in range(18):
        assert run(breaker, "success") is None
    for _ in range(6):
        assert run(breaker, "failure") is None
    assert run(breaker, "failure")  # 7 of 25, though 0.28 * 25 > 7 in floats


def test_too_few_results_prove_nothing(breaker: Breaker) -> None:
    assert [run(breaker, "failure") for _ in range(3)] == [None] * 3
    assert breaker.state(100) == "closed"


def test_ignored_results_are_no_samples(breaker: Breaker) -> None:
    for _ in range(100):
        assert run(breaker, "ignored") is None
    assert [run(breaker, "failure") for _ in range(3)] == [None] * 3
    assert run(breaker, "failure")


def test_results_leave_the_window_with_time(breaker: Breaker) -> None:
    for _ in range(3):
        run(breaker, "failure", 0)
    assert run(breaker, "failure", 60) is None
    assert run(breaker, "failure", 61) is None
    assert run(breaker, "failure", 62) is None
    assert run(breaker, "failure", 63)


def test_results_leave_the_window_one_bucket_after_another(breaker: Breaker) -> None:
    run(breaker, "failure", 0)
    for second in range(1, BUCKETS):
        run(breaker, "success", second)
    run(breaker, "failure", 30)  # the clock doesn't go back, but if it did nothing would break
    assert [breaker._window.failed, breaker._window.total] == [2, 61]
    run(breaker, "success", 60)  # the bucket of 0 is let go
    assert [breaker._window.failed, breaker._window.total] == [1, 61]
    run(breaker, "success", 1e6)
    assert [breaker._window.failed, breaker._window.total] == [0, 1]


def test_clock_may_begin_anywhere(breaker: Breaker) -> None:
    trip(breaker, now=-1e6)
    assert breaker.state(-1e6) == "open"


def test_open_breaker_admits_nothing_until_the_cooldown_is_over(breaker: Breaker) -> None:
    trip(breaker)
    for now in (100, 115, 129.9):
        assert breaker.state(now) == "open"
        assert breaker.room(now) == 0
        assert breaker.admit(now) is None
        assert breaker.poll(now) is None
        assert breaker.reopens_at(now) == REOPENS


def test_open_breaker_turns_half_open_by_time_and_says_so_once(breaker: Breaker) -> None:
    trip(breaker)
    assert breaker.state(REOPENS) == "half_open"
    assert breaker.room(REOPENS) == 1
    assert breaker.reopens_at(140) == 140  # late, but nobody has polled
    assert breaker.poll(REOPENS) == Change("open", "half_open", REOPENS)
    assert breaker.poll(REOPENS) is None
    assert breaker.reopens_at(REOPENS) is None


def test_breaker_admits_one_probe_when_half_open(breaker: Breaker) -> None:
    trip(breaker)
    assert permit_of(breaker, REOPENS).is_probe
    assert breaker.room(REOPENS) == 0
    assert breaker.admit(REOPENS) is None
    assert breaker.state(REOPENS) == "half_open"


def pass_probes(breaker: Breaker, now: float, count: int = 4) -> Change | None:
    """So many probes, one after the other, are good; returns what came of the last."""
    for _ in range(count - 1):
        assert run(breaker, "success", now) is None
    return run(breaker, "success", now)


def test_each_good_probe_makes_room_for_one_more() -> None:
    breaker = Breaker(attrs.evolve(SETTINGS, min_samples=100))
    for _ in range(100):
        run(breaker, "failure", 100)
    rounds = []
    for _ in range(5):
        probes = [permit_of(breaker, REOPENS) for _ in range(breaker.room(REOPENS))]
        assert breaker.admit(REOPENS) is None
        rounds.append(len(probes))
        for probe in probes:
            assert breaker.record(probe, "success", REOPENS) is None
    assert rounds == [1, 2, 4, 8, 16]


def test_a_failure_among_good_probes_takes_no_room_and_opens_nothing_by_itself(
    breaker: Breaker,
) -> None:
    trip(breaker)
    assert run(breaker, "success", REOPENS) is None
    assert run(breaker, "failure", REOPENS) is None
    assert breaker.room(REOPENS) == 2
    assert run(breaker, "success", REOPENS) is None
    assert run(breaker, "success", REOPENS) == Change("half_open", "closed", REOPENS)


def test_as_many_probes_as_are_samples_open_it_again_if_too_many_are_bad(breaker: Breaker) -> None:
    trip(breaker)
    assert run(breaker, "success", REOPENS) is None
    assert run(breaker, "failure", REOPENS) is None
    assert run(breaker, "success", REOPENS) is None
    assert run(breaker, "failure", REOPENS) == Change("half_open", "open", REOPENS)
    assert breaker.room(REOPENS + 30) == 1, "and what probes have found begins anew"


def test_good_probes_close_the_breaker_and_the_past_is_forgotten(breaker: Breaker) -> None:
    trip(breaker)
    assert pass_probes(breaker, 131) == Change("half_open", "closed", 131)
    # Inside the window of the old failures: neither good nor few bad results open it again.
    assert [run(breaker, "failure", 131) for _ in range(3)] == [None] * 3
    assert breaker.state(131) == "closed"


def test_bad_probe_opens_the_breaker_for_another_cooldown(breaker: Breaker) -> None:
    trip(breaker)
    probe = permit_of(breaker, REOPENS)
    assert breaker.record(probe, "failure", 135) == Change("half_open", "open", 135)
    assert breaker.admit(164) is None
    assert breaker.admit(165)


def test_ignored_probe_gives_its_place_back_at_once(breaker: Breaker) -> None:
    trip(breaker)
    probe = permit_of(breaker, REOPENS)
    assert breaker.record(probe, "ignored", REOPENS) is None
    assert breaker.room(REOPENS) == 1
    assert permit_of(breaker, REOPENS).is_probe


def test_probe_that_vanished_loses_its_place_when_its_lease_ends(breaker: Breaker) -> None:
    trip(breaker)
    permit_of(breaker, REOPENS)
    assert breaker.admit(REOPENS + 19.9) is None
    assert permit_of(breaker, REOPENS + 20).is_probe
    assert breaker.admit(REOPENS + 20) is None


def test_probe_that_was_replaced_and_is_ignored_does_not_free_the_place_of_another(
    breaker: Breaker,
) -> None:
    trip(breaker)
    first = permit_of(breaker, REOPENS)
    permit_of(breaker, REOPENS + 20)
    assert breaker.record(first, "ignored", REOPENS + 21) is None
    assert breaker.admit(REOPENS + 21) is None


def test_breaker_closes_though_every_probe_takes_longer_than_its_lease(breaker: Breaker) -> None:
    trip(breaker)
    probes = [permit_of(breaker, REOPENS + 20 * n) for n in range(4)]
    at = REOPENS + 61
    changes = [breaker.record(probe, "success", at) for probe in probes]
    assert changes == [None, None, None, Change("half_open", "closed", at)]


def test_lease_of_a_probe_is_the_window_unless_it_is_given() -> None:
    assert Settings(0.5, window_s=7, cooldown_s=1, min_samples=1).probe_lease_s == 7


@pytest.mark.parametrize("verdict", ["success", "failure", "ignored"])
def test_results_from_before_the_trip_decide_nothing(breaker: Breaker, verdict: Verdict) -> None:
    stragglers = [permit_of(breaker, 99) for _ in range(3)]
    trip(breaker)
    assert breaker.record(stragglers[0], verdict, 101) is None
    assert breaker.state(101) == "open"
    probe = permit_of(breaker, REOPENS)
    assert breaker.record(stragglers[1], verdict, REOPENS) is None
    assert breaker.admit(REOPENS) is None  # it doesn't free the probe's place either
    breaker.record(probe, "success", REOPENS)
    assert pass_probes(breaker, REOPENS, 3)
    assert breaker.record(stragglers[2], verdict, REOPENS) is None
    assert [run(breaker, "failure", REOPENS) for _ in range(3)] == [None] * 3


def test_permit_that_comes_back_twice_is_a_bug(breaker: Breaker) -> None:
    permit = permit_of(breaker, 0)
    breaker.record(permit, "ignored", 0)
    with pytest.raises(TrioqBug, match="twice"):
        breaker.record(permit, "success", 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_threshold": 0},
        {"failure_threshold": 1.01},
        {"window_s": 0},
        {"cooldown_s": -1},
        {"min_samples": 0},
        {"probe_lease_s": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    right = {"failure_threshold": 0.5, "window_s": 60, "cooldown_s": 30, "min_samples": 20}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**{**right, **wrong})
