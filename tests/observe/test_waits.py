"""A wait is split into what it was made of, and what can't be known isn't told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioq.core.config import Config, QueueConfig
from trioq.core.events import BreakerChanged, JobsStarted, JobStarted, JobsWaited
from trioq.observe.metrics import Metrics, listener, waits
from trioq.observe.metrics.waits import Intervals, Wait, Waits


def started(
    wanted_s: float, *, enqueued_s: float | None = None, attempt: int = 1, suspect: bool = False
) -> JobStarted:
    enqueued_ms = round((wanted_s if enqueued_s is None else enqueued_s) * 1000)
    return JobStarted("u", "name", "low", attempt, enqueued_ms, round(wanted_s * 1000), suspect)


def test_a_job_that_nothing_held_back_was_ready() -> None:
    assert Waits().of(started(100), now=103) == Wait(0, 3)


def test_a_delay_was_scheduled_and_then_ready() -> None:
    assert Waits().of(started(160, enqueued_s=100), now=161.5) == Wait(60, 1.5)


def test_a_clock_ahead_of_ours_makes_no_negative_wait() -> None:
    assert Waits().of(started(100), now=99) == Wait(0, 0)


def test_a_pause_counts_for_the_part_of_the_wait_in_which_it_was() -> None:
    known = Waits()
    known.pauses.begin("low", 90)
    known.pauses.end("low", 104)
    known.pauses.begin("high", 0)
    assert known.of(started(100), now=110) == Wait(0, ready=6, paused=4)
    assert known.of(started(105), now=110) == Wait(0, ready=5)
    known.pauses.begin("low", 108)
    assert known.of(started(100), now=110) == Wait(0, ready=4, paused=6)


def test_a_pause_of_a_name_counts_too_and_no_time_counts_twice() -> None:
    known = Waits()
    known.pauses.begin("low", 100)
    known.pauses.end("low", 103)
    known.pauses.begin("@name", 102)
    known.pauses.end("@name", 106)
    known.pauses.begin("@other", 0)
    assert known.of(started(100), now=110) == Wait(0, ready=4, paused=6)


def test_an_open_breaker_is_told_but_not_where_the_queue_was_paused_too() -> None:
    known = Waits()
    known.doors.begin("name", 101)
    known.doors.end("name", 103)
    assert known.of(started(100), now=110) == Wait(0, ready=8, breaker=2)
    known.pauses.begin("low", 0)
    assert known.of(started(100), now=110) == Wait(0, ready=0, paused=10)


def test_what_a_claim_tells_is_what_the_rest_of_a_wait_was() -> None:
    known = Waits()
    known.claimed({"u": "limited", "other": "fair"})
    assert known.only_ready(started(100), now=110) is None
    known.pauses.begin("low", 100)
    known.pauses.end("low", 103)
    assert known.of(started(100), now=110) == Wait(0, 7, paused=3, rest="limited")
    assert known.of(started(100), now=110) == Wait(0, 7, paused=3), "its next run waits anew"


def test_each_run_has_one_of_ready_limited_and_fair() -> None:
    metrics = Metrics(Config(queues=(QueueConfig("low"),)), {"name": "low"}, lambda: None)
    metrics(JobsWaited({"a": "limited", "b": "fair"}))
    starts = [(uid, 1, False, 100_000, 100_000, 110.0, 0) for uid in "abc"]
    metrics(JobsStarted("name", "low", starts, are_plain=True))
    counts = {
        state: metrics.registry.get_sample_value(
            "trioq_job_wait_seconds_count", {"queue": "low", "state": state}
        )
        for state in ("ready", "limited", "fair")
    }
    assert counts == {"ready": 1, "limited": 1, "fair": 1}


@pytest.mark.parametrize("shared", [False, True])
def test_a_wait_for_what_several_depend_on_is_one_for_their_breaker(
    monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    metrics = Metrics(Config(queues=(QueueConfig("low"),)), {"name": "low"}, lambda: None)
    clock = SimpleNamespace(time=lambda: 101.0, time_ns=lambda: 101_000_000_000)
    monkeypatch.setattr(listener, "time", clock)
    metrics(BreakerChanged("stripe", "closed", "open", ("charge", "name"), shared=shared))
    clock.time = lambda: 103.0
    metrics(BreakerChanged("stripe", "half_open", "closed", ("charge", "name"), shared=shared))
    clock.time = lambda: 110.0
    metrics(started(100))
    waits = {
        state: metrics.registry.get_sample_value(
            "trioq_job_wait_seconds_sum", {"queue": "low", "state": state}
        )
        for state in ("breaker", "ready")
    }
    assert waits == {"breaker": 2.0, "ready": 8.0}


def test_a_job_that_failed_here_is_ready_from_when_it_is_due_again() -> None:
    known = Waits()
    known.scheduled("u", now=200, again_in_s=10)
    assert known.of(started(100, attempt=2), now=212) == Wait(0, 2)
    assert known.of(started(100, attempt=2), now=212) is None, "that was one wait, and is over"


@pytest.mark.parametrize(
    "job", [started(100, attempt=2), started(100, suspect=True), started(0)],
    ids=["failed elsewhere", "taken from the dead", "doesn't say when it was enqueued"],
)  # fmt: skip
def test_what_cannot_be_known_is_not_told(job: JobStarted) -> None:
    assert Waits().of(job, now=500) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "JOBS", 3)
    known = Waits()
    known.claimed(dict.fromkeys("abc", "fair"))
    known.claimed(dict.fromkeys("bd", "limited"))
    assert list(known._waited_for) == ["b", "c", "d"]
    for n in range(5):
        known.scheduled(str(n), 0, 0)
    assert list(known._due) == ["2", "3", "4"]
    for n in range(1000):
        known.pauses.begin("low", n)
        known.pauses.end("low", n + 0.5)
    assert known.pauses.overlap(0, 1000, "low") == waits.INTERVALS * 0.5


TIMES = st.integers(0, 50)


@given(st.lists(st.tuples(TIMES, TIMES)), TIMES, TIMES)
def test_an_overlap_is_what_counting_seconds_gives(
    spans: list[tuple[int, int]], since: int, until: int
) -> None:
    since, until = sorted((since, until))
    ordered = sorted({tuple(sorted(span)) for span in spans})
    apart: list[tuple[int, int]] = []
    for begin, end in ordered:
        if not apart or begin >= apart[-1][1]:
            apart.append((begin, end))
    intervals = Intervals()
    for begin, end in apart:
        intervals.begin("it", begin)
        intervals.end("it", end)
    seconds = sum(any(b <= s < e for b, e in apart) for s in range(since, until))
    assert intervals.overlap(since, until, "it", "not") == seconds
