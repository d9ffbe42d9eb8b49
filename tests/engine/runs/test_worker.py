"""Attempts over hours: how often, how far apart, and what is kept of them."""

from __future__ import annotations

import itertools
import random

import pytest
import trio

import trioq
from tests.engine.virtual import World, calm
from trioq.core.events import JobDied, JobFailed, JobReleased, JobStarted, JobSucceeded

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


async def test_hours_of_retries_are_as_far_apart_as_the_backoff_says(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("failing", retry=trioq.Retry(max_attempts=12, base=1.0, cap=600.0, jitter=0.5))
    async def failing(job: trioq.Job) -> None:
        raise ValueError(job.attempt)

    await world.start()
    (uid,) = world.enqueue("failing")
    (died,) = await world.reported(JobDied)
    times = [at for at, _ in world.timed(JobStarted)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    bounds = [min(600.0, 2.0**n) for n in range(11)]
    # Each wait is a whole number of milliseconds, and its job starts when it is due.
    assert all(b / 2 - 0.002 <= gap <= b + 0.002 for gap, b in zip(gaps, bounds, strict=True))
    told = [event.again_in_s for event in world.of(JobFailed)]
    assert gaps == pytest.approx(told, abs=0.002)
    assert [event.attempt for event in world.of(JobStarted)] == list(range(1, 13))
    assert (died.reason, died.attempt) == ("failures", 12)
    await world.until(lambda: uid in world.dead)
    assert [line["message"] for line in world.history(uid)] == [str(n) for n in range(1, 13)]


async def test_a_long_history_keeps_its_beginning_and_its_end(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("failing", retry=trioq.Retry(max_attempts=40, base=0.0, cap=0.0))
    async def failing(job: trioq.Job) -> None:
        raise ValueError(job.attempt)

    await world.start()
    (uid,) = world.enqueue("failing")
    await world.until(lambda: uid in world.dead)
    lines = world.history(uid)
    assert [line.get("message") for line in lines[:5]] == ["1", "2", "3", "4", "5"]
    assert lines[5] == {"omitted": 15}
    assert [line.get("message") for line in lines[6:]] == [str(n) for n in range(21, 41)]


async def test_a_handler_that_names_its_delay_is_run_then(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("polite")
    async def polite(job: trioq.Job) -> None:
        if job.attempt == 1:
            raise trioq.RetryLater(1200.0)

    await world.start()
    world.enqueue("polite")
    await world.reported(JobSucceeded)
    assert [at for at, _ in world.timed(JobStarted)] == pytest.approx([0.0, 1200.0], abs=1e-3)


async def test_a_job_that_waits_for_its_retry_holds_nobody_up(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("failing", retry=trioq.Retry(max_attempts=4, base=600.0, cap=600.0))
    async def failing() -> None:
        raise ValueError

    @world.app.job("quick")
    async def quick() -> None:
        await trio.sleep(1.0)

    world.config = calm(count=2)
    await world.start()
    world.enqueue("failing", 20)
    world.enqueue("quick", 20)
    await world.reported(JobSucceeded, 20)
    # Twenty seconds of work for two workers.
    assert world.now == pytest.approx(10.0, abs=0.5)


async def test_no_number_of_releases_costs_an_attempt(autojump_clock: Clock, world: World) -> None:
    @world.app.job("long")
    async def long(job: trioq.Job) -> None:
        assert job.attempt == 1
        await trio.sleep(100.0)

    world.config = calm(grace_s=1.0)
    (uid,) = world.enqueue("long")
    for restart in range(1, 21):
        running = await world.start()
        await world.reported(JobStarted, restart)
        running.engine.drain()
        await running.ended.wait()
        assert len(world.of(JobReleased)) == restart
    await world.start()
    await world.reported(JobSucceeded, uid=uid)
    assert world.of(JobFailed) == world.of(JobDied) == []


async def test_jobs_of_every_kind_end_in_exactly_one_way_over_a_day_of_restarts(
    autojump_clock: Clock, world: World
) -> None:
    """Failing, snoozing and giving up at random, while engines come, go and die."""
    draw = random.Random(7)

    @world.app.job("anything", retry=trioq.Retry(max_attempts=5, base=1.0, cap=300.0))
    async def anything(job: trioq.Job) -> None:
        await trio.sleep(draw.random() * 20)
        match draw.randrange(12):
            case 0 | 1:
                raise ValueError("failed")
            case 2:
                raise trioq.Snooze(draw.random() * 100)
            case 3:
                raise trioq.RetryLater(draw.random() * 100)
            case 4 if draw.random() < 0.2:
                raise trioq.GiveUp("no use")

    world.config = calm(lease_s=5.0, heartbeat_interval_s=1.0, reaper_s=1.0, grace_s=3.0)
    uids = world.enqueue("anything", 200)
    engines = [await world.start() for _ in range(3)]
    for _ in range(30):
        await trio.sleep(draw.random() * 60)
        victim = engines.pop(draw.randrange(3))
        victim.kill() if draw.random() < 0.5 else victim.engine.drain()
        engines.append(await world.start())
    await world.until(lambda: world.count("done") + len(world.dead) == 200)
    succeeded = [event.uid for event in world.of(JobSucceeded)]
    assert world.count("done") == 200 - len(world.dead)
    assert set(succeeded) | world.dead == set(uids)
    assert {*world.dump().reasons.values()} <= {"failures", "gave_up"}
    assert not world.dump().strays
    assert all(not queue.ready and not queue.suspects for queue in world.dump().queues.values())
