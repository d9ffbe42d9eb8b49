"""What mutants had found untested: leases that end, stops in the middle, bells that broke."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.virtual import Running, World, calm
from trioq.core.calls import Step
from trioq.core.events import JobStarted, JobSucceeded
from trioq.core.pace import POLL_S
from trioq.core.pacemaker import MARGIN, Pacemaker
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
    @world.app.job("work")
    async def work() -> None:
        await trio.sleep(5.0)

    world.config = calm(count=1, lease_s=LEASE_S, heartbeat_interval_s=10.0)
    await world.start()
    world.enqueue("work", 2)
    await world.reported(JobStarted)
    no_beats(world)
    wants, step = list[int](), world.store.step

    def recorded(asked: Step) -> Any:
        wants.append(asked.want)
        return step(asked)

    world.store.step = recorded  # type: ignore[method-assign]
    autojump_clock.jump(LEASE_S / 2 + 1)  # the loop is held up for so long
    await world.reported(JobSucceeded, 2)
    assert wants[0] == 0, "a sign of life comes first"
    assert max(wants) > 0


async def test_a_lease_counts_from_before_the_step_was_sent(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(lease_s=LEASE_S, heartbeat_interval_s=10.0)
    engine = await world.start()
    no_beats(world)
    await trio.testing.wait_all_tasks_blocked()  # its next step waits for a bell
    executed_at, step = list[float](), world.store.step

    def slow(asked: Step) -> Any:
        executed_at.append(trio.current_time())
        reply = step(asked)
        autojump_clock.jump(7.0)  # so long is the answer under way
        return reply

    world.store.step = slow  # type: ignore[method-assign]
    await trio.sleep(5.0)
    sent = executed_at[-1] - POLL_S  # it has waited for a bell
    assert pacemaker_of(engine).lease_end == pytest.approx(sent + LEASE_S * (1 - MARGIN))


def held_in(world: World) -> set[str]:
    """What the one engine has claimed and not settled."""
    (held,) = world.held().values()
    return held


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
    await world.until(lambda: not held_in(world))
    world.enqueue("long", 10)
    while len(held_in(world)) <= 2:  # tiny jobs, so far: some are claimed ahead
        await trio.testing.wait_all_tasks_blocked()
    running.engine.drain()
    stopped_at = world.now
    await trio.sleep(0.1)
    assert len(held_in(world)) == 2, "two run, and have their grace"
    assert len(world.waiting("low").ready) == 8
    await running.ended.wait()
    assert world.now == pytest.approx(stopped_at + 50.0)
