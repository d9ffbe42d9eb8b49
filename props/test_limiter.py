"""The limit holds in every window, for any callers, and the script computes the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Server, new_job
from trioq.core.calls import Rate
from trioq.core.limiter import Grant, grant, interval_us
from trioq.store.keys import Keys
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore

NOW_MS = 1_764_000_000_000
NOW = NOW_MS * 1000

intervals = st.sampled_from([1, 7, 10_000, 333_334]) | st.integers(1, 10**7)
bursts = st.integers(1, 40)
waits = st.integers(0, 50) | st.integers(0, 10**6) | st.integers(0, 10**8)
calls = st.lists(st.tuples(waits, st.integers(0, 60)), max_size=30)
stored = st.just(0) | st.integers(0, 10**9).map(lambda us: NOW + us)


def permits(
    steps: list[tuple[int, int]], interval: int, burst: int, tat_us: int = 0, now_us: int = NOW
) -> tuple[list[tuple[int, int]], int]:
    """When how many permits were granted, and the limit's state after it."""
    granted = []
    for step_us, wanted in steps:
        now_us += step_us
        got = grant(tat_us, now_us, wanted=wanted, interval_us=interval, burst=burst)
        assert 0 <= got.granted <= wanted
        tat_us = got.tat_us
        granted.append((now_us, got.granted))
    return granted, tat_us


def assert_bound(granted: list[tuple[int, int]], interval: int, burst: int) -> None:
    """In no window, its ends included, more than a burst and what the rate gives."""
    total = list(accumulate((count for _, count in granted), initial=0))
    for first, (start_us, _) in enumerate(granted):
        for last in range(first, len(granted)):
            window_us = granted[last][0] - start_us
            assert total[last + 1] - total[first] <= burst + window_us // interval


@given(calls, intervals, bursts, stored)
def test_no_window_has_more_than_burst_and_rate(
    steps: list[tuple[int, int]], interval: int, burst: int, tat_us: int
) -> None:
    granted, _ = permits(steps, interval, burst, tat_us)
    assert_bound(granted, interval, burst)


@given(st.lists(calls, max_size=4), st.lists(st.integers(1, 10**12)), intervals, bursts)
def test_bound_holds_between_any_two_jumps_back_of_the_clock(
    runs: list[list[tuple[int, int]]], jumps: list[int], interval: int, burst: int
) -> None:
    now_us, tat_us = NOW, 0
    for steps, jump_us in zip(runs, jumps, strict=False):
        granted, tat_us = permits(steps, interval, burst, tat_us, now_us)
        assert_bound(granted, interval, burst)
        now_us = (granted[-1][0] if granted else now_us) - jump_us


@given(stored, st.integers(-(10**9), 10**9), st.integers(1, 60), intervals, bursts)
def test_wait_is_exact_and_no_longer_than_an_interval(
    tat_us: int, step_us: int, wanted: int, interval: int, burst: int
) -> None:
    now_us = NOW + step_us
    got = grant(tat_us, now_us, wanted=wanted, interval_us=interval, burst=burst)
    assert 0 <= got.wait_us <= interval
    assert (got.wait_us > 0) == (got.granted < wanted)
    if got.wait_us > 0:
        at = now_us + got.wait_us
        early = grant(got.tat_us, at - 1, wanted=1, interval_us=interval, burst=burst)
        assert early == Grant(0, got.tat_us, 1)
        assert grant(got.tat_us, at, wanted=1, interval_us=interval, burst=burst).granted == 1


@given(stored, st.integers(0, 30), st.integers(0, 30), intervals, bursts)
def test_a_batch_gets_what_its_parts_would_get(
    tat_us: int, one: int, other: int, interval: int, burst: int
) -> None:
    parts, parts_tat = permits([(0, one), (0, other)], interval, burst, tat_us)
    whole, whole_tat = permits([(0, one + other)], interval, burst, tat_us)
    assert sum(count for _, count in parts) == whole[0][1]
    assert parts_tat == whole_tat


@given(intervals, bursts, st.integers(0, 200))
def test_who_asks_whenever_it_is_told_to_gets_the_whole_rate(
    interval: int, burst: int, rounds: int
) -> None:
    tat_us, now_us, total = 0, NOW, 0
    for _ in range(rounds):
        got = grant(tat_us, now_us, wanted=burst + 1, interval_us=interval, burst=burst)
        total += got.granted
        assert total == burst + (now_us - NOW) // interval
        tat_us, now_us = got.tat_us, now_us + got.wait_us


@given(st.floats(1e-4, 1e6))
def test_interval_never_passes_the_rate_and_hardly_misses_it(rate: float) -> None:
    assert 1e6 / rate <= interval_us(rate) <= 1e6 / rate + 1


@pytest.fixture(scope="module")
def clock() -> list[int]:
    """The time that the script is told, epoch ms."""
    return [NOW_MS]


@pytest.fixture(scope="module")
def store(clock: list[int]) -> Iterator[RedisStore]:
    server = Server().start()
    lane = server.lane()
    yield RedisStore(Keys("limits"), lane, StoreOptions(clock_ms=lambda: clock[0]))
    lane.close()
    server.close()


def assert_agree(
    store: RedisStore, clock: list[int], steps: list[tuple[int, int]], interval: int, burst: int
) -> None:
    """Ask both, at the same times, for the same."""
    store.lane.call("FLUSHALL")
    clock[0], tat_us = NOW_MS, 0
    for number, (step_ms, wanted) in enumerate(steps, start=1):
        clock[0] += step_ms
        answer = store.enqueue(
            "s", number, [new_job() for _ in range(wanted)], rate=Rate("all", interval, burst)
        )
        got = grant(tat_us, clock[0] * 1000, wanted=wanted, interval_us=interval, burst=burst)
        assert (answer.taken, answer.wait_us) == (got.granted, got.wait_us)
        tat_us = got.tat_us


steps_ms = st.integers(0, 30) | st.integers(0, 10**4)
jumps_ms = st.integers(-(10**6), 0)
wants = st.integers(1, 12)


@pytest.mark.direct  # a repeat isn't told again how long to wait
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(steps_ms, wants), max_size=12), intervals, st.integers(1, 9))
def test_the_script_grants_what_this_function_grants(
    store: RedisStore, clock: list[int], steps: list[tuple[int, int]], interval: int, burst: int
) -> None:
    assert_agree(store, clock, steps, interval, burst)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(steps_ms | jumps_ms, wants), max_size=12), intervals, st.integers(1, 9))
def test_the_script_heals_as_this_function_does_when_the_clock_goes_back(
    store: RedisStore, clock: list[int], steps: list[tuple[int, int]], interval: int, burst: int
) -> None:
    assert_agree(store, clock, steps, interval, burst)
