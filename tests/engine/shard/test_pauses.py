"""Names that nobody is to run: their jobs wait behind doors, and others of the queue go on."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.shard.test_dispatcher import Steps
from tests.engine.virtual import World, calm
from trioq.core.calls import Pausing
from trioq.core.events import BootLost, JobParked, JobReleased, JobStarted, JobSucceeded
from trioq.core.formats.record import BIG_BYTES
from trioq.core.pace import POLL_S

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


def sends(world: World, takes_s: float = 0.0) -> None:
    """Handlers of two names."""
    for name in ("mail", "other"):

        @world.app.job(name)
        async def handler(text: str = "") -> None:
            await trio.sleep(takes_s)


def pause(world: World, n: int, *, paused: bool = True, for_s: float = 0) -> None:
    world.store.pause("operator", n, "@mail", paused, Pausing(b"{}", round(for_s * 1000)))


async def test_jobs_of_a_paused_name_wait_and_others_of_the_queue_go_on(
    autojump_clock: Clock, world: World
) -> None:
    sends(world)
    Steps(world.store).most = 100  # who went round and round would never come to an end
    world.enqueue("mail", 3)
    world.enqueue("other", 3)
    pause(world, 1)
    await world.start()
    await world.reported(JobSucceeded, 3)
    await trio.sleep(3 * POLL_S)
    assert len(world.of(JobParked, why="paused")) == 3, "each moves once, not round and round"
    assert not world.of(JobStarted, name="mail")
    pause(world, 2, paused=False)
    resumed = world.now
    await world.reported(JobSucceeded, 6)
    assert world.now - resumed < POLL_S / 2, "a bell rings"
    assert [event.attempt for event in world.of(JobStarted, name="mail")] == [1, 1, 1]


async def test_what_an_engine_has_claimed_and_nobody_has_begun_waits_too_in_its_order(
    autojump_clock: Clock, world: World
) -> None:
    """And what runs runs on."""

    @world.app.job("tiny")
    async def tiny() -> None:
        pass

    sends(world, takes_s=0.2)
    world.config = calm(count=4)
    dispatcher: Any = (await world.start()).engine.shards[0].dispatcher
    world.enqueue("tiny", 2000)
    await world.reported(JobSucceeded, 2000)
    uids = world.enqueue("mail", 40)
    await world.reported(JobStarted, 4, name="mail")
    assert len(dispatcher._boot.held) > 20, "it claims ahead"
    pause(world, 1)
    await trio.sleep(5.0)
    begun = len(world.of(JobStarted, name="mail"))
    assert begun == len(world.of(JobSucceeded, name="mail")) <= 8
    assert len(world.of(JobParked)) >= 20
    assert not world.of(JobReleased)
    pause(world, 2, paused=False)
    await world.reported(JobSucceeded, 40, name="mail")
    assert [event.uid for event in world.of(JobStarted, name="mail")] == uids


async def test_a_job_with_a_big_payload_waits_too(autojump_clock: Clock, world: World) -> None:
    sends(world)
    pause(world, 1)
    await world.start()
    world.enqueue("mail", payload={"text": "x" * 2 * BIG_BYTES})
    world.enqueue("other")
    await world.reported(JobSucceeded)
    assert len(world.of(JobParked, why="paused")) == 1
    pause(world, 2, paused=False)
    await world.reported(JobSucceeded, 2)


async def test_all_engines_hear_of_it_with_their_next_steps(
    autojump_clock: Clock, world: World
) -> None:
    sends(world)
    for _ in range(3):
        await world.start()
    pause(world, 1)
    await trio.sleep(POLL_S)
    world.enqueue("mail", 30)
    await trio.sleep(3 * POLL_S)
    assert not world.of(JobStarted)
    pause(world, 2, paused=False)
    await world.reported(JobSucceeded, 30)
    assert not world.of(JobReleased)


async def test_a_pause_for_a_time_ends_without_anybodys_help(
    autojump_clock: Clock, world: World
) -> None:
    sends(world)
    pause(world, 1, for_s=3600.0)
    world.enqueue("mail", 5)
    await world.start()
    await world.start()
    await world.reported(JobSucceeded, 5)
    assert all(3600 <= at <= 3600 + 2 * POLL_S for at, _ in world.timed(JobStarted))
    assert not world.dump().paused


async def test_a_name_that_is_paused_is_not_run_by_an_engine_that_comes_later(
    autojump_clock: Clock, world: World
) -> None:
    sends(world)
    pause(world, 1)
    world.enqueue("mail", 2)
    await world.start()
    await world.reported(JobParked, 2)
    await world.start()
    await trio.sleep(10 * POLL_S)
    assert not world.of(JobStarted)
    assert not world.of(BootLost)
