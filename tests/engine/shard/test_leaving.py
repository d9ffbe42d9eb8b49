"""How long the end of a boot waits for Redis: for what is to be settled, and for nothing else."""

from __future__ import annotations

import pytest
import trio

from tests.engine.virtual import Running, World, calm
from trioq.core.events import EngineStopped, JobStarted, JobSucceeded
from trioq.engine.shard.shard import SETTLE_S, SIGN_OFF_S

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


async def with_a_job(world: World) -> Running:
    """An engine that is cut off while it runs a job of ten seconds, and is to end."""

    @world.app.job("long")
    async def long() -> None:
        await trio.sleep(10.0)

    world.config = calm(grace_s=60.0)
    running = await world.start()
    world.enqueue("long")
    await world.reported(JobStarted)
    running.link.cut()
    running.engine.drain()
    return running


async def test_what_has_ended_is_settled_where_redis_comes_back_in_time(
    autojump_clock: Clock, world: World
) -> None:
    running = await with_a_job(world)
    await world.reported(JobSucceeded)
    await trio.sleep(SETTLE_S / 2)
    running.link.mend()
    await running.ended.wait()
    assert world.count("done") == 1
    (stopped,) = world.of(EngineStopped)
    assert stopped.signed_off


async def test_redis_is_waited_for_no_longer_than_that(autojump_clock: Clock, world: World) -> None:
    running = await with_a_job(world)
    await running.ended.wait()
    ((stopped_at, stopped),) = world.timed(EngineStopped)
    ((ended_at, _),) = world.timed(JobSucceeded)
    assert stopped_at - ended_at == pytest.approx(SETTLE_S)
    assert not stopped.signed_off


async def test_who_has_nothing_to_settle_does_not_wait_for_redis(
    autojump_clock: Clock, world: World
) -> None:
    running = await world.start()
    running.link.cut()
    running.engine.drain()
    drained_at = world.now
    await running.ended.wait()
    # Once for the step in flight, if there is one, and once for the sign-off.
    assert world.now - drained_at <= 2 * SIGN_OFF_S
