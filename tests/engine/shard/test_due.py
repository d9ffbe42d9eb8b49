"""Scheduled jobs start when they are due."""

from __future__ import annotations

import random

import pytest
import trio

from tests.engine.virtual import World, calm
from trioq.app import App
from trioq.core.calls import Step
from trioq.core.events import JobStarted, JobSucceeded

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


def with_noop() -> App:
    app = App()

    @app.job("noop")
    async def handler() -> None:
        pass

    return app


def starts(world: World) -> dict[str, float]:
    """When each job began, in seconds."""
    return {event.uid: at for at, event in world.timed(JobStarted)}


async def test_jobs_start_exactly_when_they_are_due(autojump_clock: Clock, world: World) -> None:
    world.app = with_noop()
    await world.start()
    draw = random.Random(1)
    due = {}
    for _ in range(200):
        delay_ms = draw.randrange(1, 1200 * 1000)
        (uid,) = world.enqueue("noop", delay_ms=delay_ms)
        due[uid] = delay_ms / 1000
    await world.reported(JobSucceeded, 200)
    assert starts(world) == pytest.approx(due, abs=1e-6)


async def test_a_job_that_is_due_sooner_than_the_one_waited_for_is_not_late(
    autojump_clock: Clock, world: World
) -> None:
    world.app = with_noop()
    await world.start()
    (late,) = world.enqueue("noop", delay_ms=3_600_000)
    await trio.sleep(10.0)
    (soon,) = world.enqueue("noop", delay_ms=1500)
    await world.reported(JobSucceeded, 2)
    began = starts(world)
    assert began[late] == pytest.approx(3600.0, abs=1e-6)
    # Nothing rings for a delayed job: the poll brings its time, or the job itself if it is due.
    assert 11.5 - 1e-6 <= began[soon] < 11.5 + 1.0


async def test_a_thousand_jobs_due_at_one_moment_all_start_then(
    autojump_clock: Clock, world: World
) -> None:
    world.app = with_noop()
    await world.start()
    uids = world.enqueue("noop", 1000, delay_ms=5000)
    await world.reported(JobSucceeded, 1000)
    began = starts(world)
    assert began == pytest.approx(dict.fromkeys(uids, 5.0), abs=1e-6)


async def test_due_jobs_are_promoted_while_all_workers_are_busy_and_keep_their_order(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("long")
    async def long() -> None:
        await trio.sleep(60.0)

    world.config = calm(count=1)
    await world.start()
    (first,) = world.enqueue("long")
    (due,) = world.enqueue("long", delay_ms=10_000)
    await trio.sleep(20.0)
    assert not world.waiting("low").scheduled
    (later,) = world.enqueue("long")
    await world.reported(JobSucceeded, 3)
    assert [event.uid for event in world.of(JobStarted)] == [first, due, later]


async def test_what_is_due_takes_no_more_steps_than_what_a_bell_rings_for(
    autojump_clock: Clock, world: World
) -> None:
    world.app = with_noop()
    steps, step = list[Step](), world.store.step

    def recorded(asked: Step) -> object:
        steps.append(asked)
        return step(asked)

    world.store.step = recorded  # type: ignore[method-assign, assignment]
    await world.start()
    world.enqueue("noop", delay_ms=300)
    await trio.sleep(0.1)
    before = len(steps)
    await world.reported(JobSucceeded)
    await world.until(lambda: not world.jobs)
    assert len(steps) - before == 2, "one claims it, and one tells its end"
