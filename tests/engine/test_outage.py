"""What is said while Redis is away: once, then now and then, and when it is back."""

from __future__ import annotations

import itertools

import pytest
import trio

from trioq.core.events import Event, RedisAway, RedisBack
from trioq.engine.outage import CAP_S, FORGOTTEN_S, REPEAT_S, Outage
from trioq.errors import QueueFull, StoreBusy, StoreUnreachable

GONE = StoreUnreachable("connection refused")

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def outage(told: list[Event]) -> Outage:
    return Outage(told.append, lambda: 0.999)


async def fail_for(outage: Outage, seconds: float, lane: str = "step") -> None:
    with trio.move_on_after(seconds):
        while True:
            await outage.failed(lane, GONE)


async def test_one_failed_call_that_the_next_try_mends_is_not_worth_a_line(
    autojump_clock: Clock, outage: Outage, told: list[Event]
) -> None:
    for _ in range(5):
        await outage.failed("step", GONE)
        outage.answered("step")
    assert told == []
    assert not outage.is_on


async def test_the_first_try_follows_at_once_and_the_others_wait(
    autojump_clock: Clock, outage: Outage
) -> None:
    times = []
    for _ in range(12):
        await outage.failed("step", GONE)
        times.append(trio.current_time())
    waits = [round(b - a, 6) for a, b in itertools.pairwise([0.0, *times])]
    assert waits[0] == 0
    assert all(0 < wait <= CAP_S for wait in waits[1:])
    assert waits[1:] == sorted(waits[1:])


async def test_an_outage_is_told_when_it_begins_every_30_seconds_and_when_it_ends(
    autojump_clock: Clock, outage: Outage, told: list[Event]
) -> None:
    await fail_for(outage, 3.5 * REPEAT_S)
    assert outage.is_on
    outage.answered("step")
    away = [event for event in told if isinstance(event, RedisAway)]
    assert [round(event.for_s / REPEAT_S) for event in away] == [0, 1, 2, 3]
    assert isinstance(told[-1], RedisBack)
    assert told[-1].after_s == pytest.approx(3.5 * REPEAT_S)
    assert not outage.is_on


async def test_all_lanes_together_tell_one_outage(
    autojump_clock: Clock, outage: Outage, told: list[Event]
) -> None:
    async with trio.open_nursery() as nursery:
        for lane in ("step", "wait", "watch", "beat"):
            nursery.start_soon(fail_for, outage, 10.0, lane)
    assert [type(event) for event in told] == [RedisAway]
    for lane in ("step", "wait", "watch"):
        outage.answered(lane)
    assert len(told) == 1, "the last one isn't back yet"
    outage.answered("beat")
    assert [type(event) for event in told] == [RedisAway, RedisBack]


async def test_a_lane_that_nobody_uses_any_more_does_not_keep_an_outage_on(
    autojump_clock: Clock, outage: Outage, told: list[Event]
) -> None:
    await fail_for(outage, 5.0, "payload")  # of a job that was cancelled meanwhile
    await fail_for(outage, 5.0, "step")
    outage.answered("step")
    assert outage.is_on
    await trio.sleep(FORGOTTEN_S)
    outage.answered("step")
    assert not outage.is_on
    assert [type(event) for event in told] == [RedisAway, RedisBack]


async def test_a_lane_without_trouble_of_its_own_ends_nothing(
    autojump_clock: Clock, outage: Outage, told: list[Event]
) -> None:
    await fail_for(outage, 5.0, "step")
    outage.answered("wait")
    assert outage.is_on


async def test_tries_come_quickly_at_first_and_about_once_a_second_later(
    autojump_clock: Clock, outage: Outage
) -> None:
    started = trio.current_time()
    times = []
    for _ in range(20):
        await outage.failed("step", GONE)
        times.append(trio.current_time() - started)
    assert times[0] < 0.05
    assert times[2] < 0.5
    assert all(after - before <= CAP_S for before, after in itertools.pairwise(times))
    assert times[-1] - times[-2] > 0.9 * CAP_S


async def test_tries_of_many_engines_spread_over_the_pause(autojump_clock: Clock) -> None:
    pauses = []
    for drawn in (0.0, 0.25, 0.5, 0.75):
        outage = Outage(lambda event: None, lambda drawn=drawn: drawn)  # type: ignore[misc]
        for _ in range(9):
            await outage.failed("step", GONE)
        before = trio.current_time()
        await outage.failed("step", GONE)
        pauses.append(trio.current_time() - before)
    assert pauses == pytest.approx([0.0, 0.25, 0.5, 0.75])


async def test_asking_goes_on_until_there_is_an_answer_and_a_no_is_one(
    autojump_clock: Clock, outage: Outage, told: list[Event]
) -> None:
    answers: list[object] = [GONE, StoreBusy("LOADING"), GONE, "yes"]

    async def ask() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await outage.until_answered("scan", ask) == "yes"
    assert [type(event) for event in told] == [RedisAway, RedisBack]
    answers[:] = [GONE, GONE, QueueFull("no room"), "more"]
    with pytest.raises(QueueFull):
        await outage.until_answered("scan", ask)
    assert answers == ["more"]
    assert not outage.is_on
