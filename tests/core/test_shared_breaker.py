"""A breaker that all engines share, as one of them has it: what it tells, and when."""

from __future__ import annotations

import math

import pytest

from trioq.core.breaker import UNLIMITED, Permit, Settings, Verdict
from trioq.core.calls import BreakerNews, BreakerSeen
from trioq.core.shared_breaker import AGAIN_S, UNUSED_S, WANT, SharedBreaker
from trioq.errors import TrioqBug

SETTINGS = Settings(failure_threshold=0.5, window_s=60, cooldown_s=30, min_samples=4)

HALF_OPEN = BreakerSeen("half_open", turn=2)


@pytest.fixture
def breaker() -> SharedBreaker:
    return SharedBreaker(SETTINGS, "api")


def heard(breaker: SharedBreaker, seen: BreakerSeen, now: float = 0.0) -> BreakerNews:
    """It says what there is to say, and is answered so; returns what it said."""
    sent = breaker.news(now)
    breaker.heard(sent, seen, now)
    return sent


def half_open(breaker: SharedBreaker, granted: int = 1) -> None:
    heard(breaker, HALF_OPEN)
    assert breaker.room(0.0) == 0
    heard(breaker, BreakerSeen("half_open", turn=2, granted=granted))


def admitted(breaker: SharedBreaker, now: float = 0.0) -> Permit:
    permit = breaker.admit(now)
    assert permit is not None
    return permit


def counts(breaker: SharedBreaker, now: float = 0.0) -> tuple[int, int, int]:
    news = breaker.news(now)
    return news.good, news.bad, news.ignored


def test_it_is_told_as_it_is_set_up(breaker: SharedBreaker) -> None:
    assert breaker.news(0.0) == BreakerNews("api", 0.5, 60_000, 30_000, 4)


def test_closed_it_lets_all_run_and_only_a_failure_is_urgent(breaker: SharedBreaker) -> None:
    assert breaker.room(0.0) == UNLIMITED
    good, own_fault, bad = (admitted(breaker) for _ in range(3))
    breaker.record(good, "success", 0.0)
    breaker.succeeded(2, 0.0)
    breaker.record(own_fault, "ignored", 0.0)
    assert counts(breaker) == (3, 0, 0)
    assert breaker.due == math.inf
    breaker.record(bad, "failure", 0.0)
    assert counts(breaker) == (3, 1, 0)
    assert breaker.due == -math.inf
    heard(breaker, BreakerSeen())
    assert breaker.due == math.inf


@pytest.mark.parametrize(("verdict", "told"), [
    ("success", (1, 0, 0)), ("failure", (0, 1, 0)), ("ignored", (0, 0, 1)),
])  # fmt: skip
def test_a_probe_is_told_of_at_once_however_it_ends(
    breaker: SharedBreaker, verdict: Verdict, told: tuple[int, int, int]
) -> None:
    half_open(breaker)
    probe = admitted(breaker)
    assert probe.is_probe
    breaker.record(probe, verdict, 0.0)
    assert counts(breaker) == told
    assert breaker.due == -math.inf
    with pytest.raises(TrioqBug):
        breaker.record(probe, verdict, 0.0)


def test_what_began_before_it_changed_says_nothing_of_it_now(breaker: SharedBreaker) -> None:
    before = admitted(breaker)
    half_open(breaker)
    breaker.record(before, "failure", 0.0)
    breaker.succeeded(3, 0.0)
    assert counts(breaker) == (0, 0, 0)


def test_who_got_no_probe_asks_again_after_a_while_and_for_some_more(
    breaker: SharedBreaker,
) -> None:
    heard(breaker, HALF_OPEN, 5.0)
    assert breaker.due == math.inf, "nobody wants one"
    assert breaker.news(5.0).want == 0
    assert breaker.admit(5.0) is None
    assert breaker.due == -math.inf
    assert heard(breaker, HALF_OPEN, 6.0).want == WANT
    assert breaker.due == 6.0 + AGAIN_S
    heard(breaker, BreakerSeen("half_open", turn=2, granted=1), 7.0)
    admitted(breaker, 7.0)
    assert breaker.admit(7.0) is None
    assert breaker.news(7.0).want == 1 + WANT, "those that it was given are counted, too"


def test_a_probe_that_finds_no_job_goes_back(breaker: SharedBreaker) -> None:
    half_open(breaker, granted=2)
    admitted(breaker)
    assert breaker.due == UNUSED_S
    assert counts(breaker, UNUSED_S - 0.01) == (0, 0, 0)
    assert counts(breaker, UNUSED_S) == (0, 0, 1)
    assert breaker.admit(UNUSED_S) is None


def test_open_it_is_asked_about_when_it_may_be_over(breaker: SharedBreaker) -> None:
    heard(breaker, BreakerSeen("open", turn=1, for_ms=1500, left_ms=2500), 10.0)
    assert breaker.reopens_at(10.0) == breaker.due == 12.5
    assert breaker.since == 8.5
    assert breaker.admit(10.0) is None
    heard(breaker, BreakerSeen("half_open", turn=2), 12.5)
    assert breaker.due == -math.inf, "somebody wanted one while it was open"
    assert breaker.news(12.5).want == WANT
    heard(breaker, BreakerSeen("closed", turn=3), 13.0)
    assert (breaker.due, breaker.news(13.0).want) == (math.inf, 0)


def test_a_new_boot_has_said_nothing_and_has_no_probe(breaker: SharedBreaker) -> None:
    half_open(breaker, granted=2)
    probe = admitted(breaker)
    breaker.begin()
    breaker.record(probe, "success", 0.0)
    assert counts(breaker) == (0, 0, 0)
    assert breaker.admit(0.0) is None
    assert breaker.news(0.0).turn == 2
