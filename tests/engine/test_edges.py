"""What mutants had found untested: leases that end, stops in the middle, bells that broke."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import trio

from tests.engine.virtual import Running, World, calm
from trioq.core.calls import Step
from trioq.core.events import JobSucceeded
from trioq.core.pacemaker import MARGIN, Pacemaker
from trioq.engine.outage import Outage
from trioq.engine.shard.bell import listen
from trioq.errors import StoreUnreachable

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock

LEASE_S = 40.0


def pacemaker_of(running: Running) -> Pacemaker:
    dispatcher: Any = running.engine.shards[0].dispatcher
    made: Pacemaker = dispatcher.pacemaker
    return made


def no_beats(world: World) -> None:
    """From now on only steps are signs of life."""

    def beat(engine: str) -> None:
        raise StoreUnreachable("no beat arrives")

    world.store.beat = beat  # type: ignore[method-assign, assignment]


async def test_no_job_is_claimed_on_a_lease_that_is_half_over(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("noop")
    async def noop() -> None:
        pass

    world.config = calm(lease_s=LEASE_S, heartbeat_interval_s=10.0)
    await world.start()
    await trio.sleep(1.5)  # between two polls
    no_beats(world)
    wants, step = list[int](), world.store.step

    def recorded(asked: Step) -> Any:
        wants.append(asked.want)
        return step(asked)

    world.store.step = recorded  # type: ignore[method-assign]
    world.enqueue("noop")
    autojump_clock.jump(LEASE_S / 2 + 1)  # the loop is held up for so long
    await world.reported(JobSucceeded)
    assert wants[0] == 0, "a sign of life comes first"
    assert max(wants) > 0


async def test_a_lease_counts_from_before_the_step_was_sent(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(lease_s=LEASE_S, heartbeat_interval_s=10.0)
    engine = await world.start()
    no_beats(world)
    sent_at, step = list[float](), world.store.step

    def slow(asked: Step) -> Any:
        sent_at.append(trio.current_time())
        reply = step(asked)
        autojump_clock.jump(7.0)  # so long is the answer under way
        return reply

    world.store.step = slow  # type: ignore[method-assign]
    await trio.sleep(5.0)
    assert pacemaker_of(engine).lease_end == pytest.approx(sent_at[-1] + LEASE_S * (1 - MARGIN))


async def test_what_no_worker_has_started_goes_back_as_soon_as_an_engine_stops(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("noop")
    async def noop() -> None:
        pass

    @world.app.job("long", timeout=1e6)
    async def long() -> None:
        await trio.sleep(50.0)

    world.config = calm(count=2, grace_s=100.0)
    running = await world.start()
    world.enqueue("noop", 300)
    await world.reported(JobSucceeded, 300)
    world.enqueue("long", 10)
    (boot,) = world.store.space.boots.values()
    while len(boot.held) <= 2:  # tiny jobs, so far: some are claimed ahead
        await trio.testing.wait_all_tasks_blocked()
    running.engine.drain()
    stopped_at = world.now
    await trio.sleep(0.1)
    assert len(boot.held) == 2, "two run, and have their grace"
    assert len(world.store.space.queue("low").ready) == 8
    await running.ended.wait()
    assert world.now == pytest.approx(stopped_at + 50.0)


async def test_who_could_not_hear_the_bells_looks_by_itself(autojump_clock: Clock) -> None:
    rung = trio.Event()

    class Deaf:
        generation = 1
        store: Any = None

        async def wait_bell(self, queues: Sequence[str], timeout_s: float) -> bool:
            raise StoreUnreachable("no bell is heard")

        async def call(self, *args: Any) -> Any:
            raise AssertionError

        drive = call

    async def room() -> None:
        await trio.lowlevel.checkpoint()

    outage = Outage(lambda event: None, random.random)
    with trio.move_on_after(60.0):
        async with trio.open_nursery() as nursery:

            async def listening() -> None:
                await listen(Deaf(), ["low"], wait_room=room, rung=rung.set, outage=outage)

            nursery.start_soon(listening)
            await rung.wait()
            nursery.cancel_scope.cancel()
    assert rung.is_set()
