"""Handlers that have waited and were good: what is told of them, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import trioq
from tests.engine.virtual import World, calm
from trioq.core.events import (
    Event,
    JobFailed,
    JobsStarted,
    JobsSucceeded,
    JobStarted,
    JobSucceeded,
    ResultNotKept,
)
from trioq.engine.handlers import place
from trioq.engine.runs.turn import SLICE_S
from trioq.observe.spans import EngineTracer

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


@attrs.define
class Together:
    """A listener that is told of several at once."""

    begun: list[JobsStarted] = attrs.field(factory=list[JobsStarted])
    told: list[JobsSucceeded] = attrs.field(factory=list[JobsSucceeded])

    def listener_for(self, kind: type[Event]) -> Callable[[Any], None] | None:
        if kind is JobsStarted:
            return self.begun.append
        return self.told.append if kind is JobsSucceeded else None

    def __call__(self, event: Event) -> None:
        raise AssertionError("it says what it wants")


async def test_those_that_come_back_together_are_told_of_at_once_and_each_has_begun_once(
    autojump_clock: Clock, world: World
) -> None:
    together = Together()
    world.listeners = (together,)
    world.config = calm(count=8)

    @world.app.job("waits")
    async def waits() -> None:
        await trio.sleep(1.0)

    await world.start()
    uids = world.enqueue("waits", 8)
    await world.reported(JobSucceeded, 8)
    assert sorted(run[0] for event in together.told for run in event.runs) == sorted(uids)
    assert len(together.told) < 8
    assert sorted(run[0] for event in together.begun for run in event.runs) == sorted(uids)
    assert len(together.begun) < 8
    assert all(event.have_begun for event in together.told)
    assert sorted(event.uid for event in world.of(JobStarted)) == sorted(uids)
    starts = [at for at, _ in world.timed(JobStarted)]
    ends = [at for at, _ in world.timed(JobSucceeded)]
    assert max(starts) + 1.0 <= min(ends)
    assert all(0.9 < event.took_s < 1.1 for event in world.of(JobSucceeded))


async def test_of_each_is_told_which_worker_runs_it(autojump_clock: Clock, world: World) -> None:
    world.config = calm(count=8)
    ran: dict[str, int] = {}

    @world.app.job("waits", result=60.0)
    async def waits(job: trioq.Job) -> dict[str, object]:
        ran[job.uid] = place.get().worker
        await trio.sleep(1.0)
        return {"not representable": object()}

    await world.start()
    world.enqueue("waits", 8)
    await world.reported(ResultNotKept, 8)
    assert sorted(ran.values()) == [*range(8)]
    for kind in (JobStarted, JobSucceeded, ResultNotKept):
        assert {event.uid: event.worker for event in world.of(kind)} == ran, kind


async def test_of_a_traced_run_all_is_told_while_its_span_is_current(
    autojump_clock: Clock, world: World
) -> None:
    told: dict[tuple[type[Event], str], int] = {}
    ran: dict[str, int] = {}

    def current() -> int:
        return trace.get_current_span().get_span_context().span_id

    def report(event: Event) -> None:
        if isinstance(event, JobStarted | JobSucceeded):
            told[type(event), event.uid] = current()

    world.config = calm(count=8)
    world.listeners = (report,)
    world.tracer = EngineTracer(TracerProvider().get_tracer("tests"), "tests", linked=False)

    @world.app.job("waits")
    async def waits(job: trioq.Job) -> None:
        ran[job.uid] = current()
        await trio.sleep(1.0)

    await world.start()
    uids = world.enqueue("waits", 16)
    await world.reported(JobSucceeded, 16)
    assert len({*ran.values()} - {0}) == 16
    assert told == {(kind, uid): ran[uid] for kind in (JobStarted, JobSucceeded) for uid in uids}


async def test_the_last_that_runs_is_told_of_before_the_loop_turns(
    autojump_clock: Clock, world: World
) -> None:
    together, seen = Together(), list[int]()
    world.listeners = (together,)
    world.config = calm(count=1)

    async def look() -> None:
        seen.append(len(together.told))

    @world.app.job("waits")
    async def waits() -> None:
        await trio.sleep(1.0)
        trio.lowlevel.spawn_system_task(look)

    await world.start()
    world.enqueue("waits", 20)
    await world.reported(JobSucceeded, 20)
    await trio.testing.wait_all_tasks_blocked()
    assert seen == [*range(1, 21)]


async def test_whoever_has_waited_for_the_loop_to_turn_begins_a_turn(
    autojump_clock: Clock, world: World
) -> None:
    left_s: list[float] = []

    @world.app.job("computes and waits")
    async def computes_and_waits() -> None:
        autojump_clock.jump(2 * SLICE_S)
        await trio.sleep(1.0)
        left_s.append(turn.left_s)

    turn = (await world.start()).engine._parts.turn
    world.enqueue("computes and waits", 3)
    await world.reported(JobSucceeded, 3)
    assert left_s[0] == SLICE_S


async def test_ends_are_told_of_in_the_order_in_which_they_were(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(count=16)
    ended: list[str] = []

    @world.app.job("waits")
    async def waits(fails: bool = False) -> None:
        await trio.sleep(1.0)
        ended.append("failed" if fails else "good")
        if fails:
            raise ValueError

    await world.start()
    for n in range(16):
        world.enqueue("waits", payload={"fails": n % 4 == 3})
    await world.reported(JobFailed, 4)
    await world.reported(JobSucceeded, 12)
    told = {JobSucceeded: "good", JobFailed: "failed"}
    assert [told[type(e)] for _, e in world.told if type(e) in told][: len(ended)] == ended


async def test_what_ends_while_its_engine_is_cancelled_is_settled(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("stubborn")
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1.0)

    running = await world.start()
    (uid,) = world.enqueue("stubborn")
    await world.reported(JobStarted, uid=uid)
    running.scope.cancel()
    await running.ended.wait()
    assert [event.uid for event in world.of(JobSucceeded)] == [uid]
    assert uid not in world.jobs, "nobody runs it again"
