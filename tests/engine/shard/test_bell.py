"""Bells: an engine that has room hears them, one that hasn't leaves them to the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.engine.virtual import World, calm
from tests.observe.scraped import Told, configured, engine, eventually
from tests.support import Server
from trioq import App
from trioq.core import pace
from trioq.core.calls import Gone, Step, StepReply
from trioq.core.events import JobStarted, JobSucceeded, RedisAway, RedisBack
from trioq.core.pace import POLL_S
from trioq.engine.bridge import ThreadCaller
from trioq.engine.shard.bell import Bell

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


def noop(world: World, takes_s: float = 0.0) -> None:
    @world.app.job("noop", timeout=1e6)
    async def handler() -> None:
        await trio.sleep(takes_s)


async def test_a_job_starts_when_its_bell_rings(autojump_clock: Clock, world: World) -> None:
    noop(world)
    await world.start()
    for n in range(1, 21):
        await trio.sleep(13.7 * POLL_S)
        enqueued_at = world.now
        world.enqueue("noop", queue="high" if n % 2 else "low")
        await world.reported(JobSucceeded, n)
        assert world.now == enqueued_at, "not at the next poll"


async def test_a_crowd_of_jobs_wakes_all_idle_engines(autojump_clock: Clock, world: World) -> None:
    noop(world, takes_s=10.0)
    world.config = calm(count=2)
    for _ in range(4):
        await world.start()
    await trio.sleep(0.5 * POLL_S)
    enqueued_at = world.now
    world.enqueue("noop", 8)
    await world.reported(JobStarted, 8)
    assert world.now < enqueued_at + 0.4 * POLL_S, "one wakes the next, before any polls"


async def test_a_full_engine_leaves_the_bell_to_an_idle_one(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=100.0)
    world.config = calm(count=1)
    await world.start()
    world.enqueue("noop")
    await world.reported(JobStarted)
    await world.start()
    await trio.sleep(10.25)  # between two polls of either
    enqueued_at = world.now
    world.enqueue("noop")
    await world.reported(JobStarted, 2)
    assert world.now == enqueued_at


async def test_an_engine_that_drains_hears_no_bells_any_more(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=50.0)
    world.config = calm(count=4, grace_s=100.0)
    draining = await world.start()
    world.enqueue("noop")
    await world.reported(JobStarted)
    await world.start()
    draining.engine.drain()
    await trio.sleep(0.25)
    for n in range(2, 5):
        await trio.sleep(1.0)
        enqueued_at = world.now
        world.enqueue("noop")
        await world.reported(JobStarted, n)
        assert world.now == enqueued_at


async def test_after_the_bells_could_not_be_heard_the_engine_looks_by_itself(
    autojump_clock: Clock, world: World
) -> None:
    noop(world)
    running = await world.start()
    await trio.sleep(5.0)
    running.link.cut()
    await trio.sleep(30.0)
    world.enqueue("noop")
    world.take_bells()  # somebody else took it, and died
    running.link.mend()
    mended_at = world.now
    await world.reported(JobSucceeded)
    assert world.now <= mended_at + 2 * POLL_S


async def test_that_redis_is_back_is_known_before_a_bell_rings(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "POLL_S", 3600.0)  # no wait of this length ends in the test
    told = Told()

    async def heard(kind: type[RedisAway | RedisBack]) -> Sequence[object]:
        return told.of(kind)

    async with engine(App(), configured(own_server, tmp_path), report=told):
        await trio.to_thread.run_sync(own_server.kill)
        await eventually(partial(heard, RedisAway))
        await trio.to_thread.run_sync(own_server.start)
        await eventually(partial(heard, RedisBack))


@pytest.mark.direct
async def test_a_server_that_begins_no_wait_is_not_flooded_with_requests_to_end_one(
    own_server: Server,
) -> None:
    caller, other = (ThreadCaller(own_server.store("t"), deadline_s=60.0) for _ in range(2))
    bell, replies = Bell(caller, other), list[StepReply | Gone]()
    await caller.call(caller.store.register, "boot", b"{}")
    own_server.call("CLIENT", "PAUSE", "600", "WRITE")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bell.end_waits)
        nursery.start_soon(
            bell.step, Step("boot", 1, 1, ("low",)), 60.0, lambda reply, _: replies.append(reply)
        )
        await trio.testing.wait_all_tasks_blocked()
        bell.end()
        await bell.over()
        nursery.cancel_scope.cancel()
    assert isinstance(replies[0], StepReply)
    (told,) = [
        line for line in own_server.call("INFO", "commandstats").splitlines()
        if line.startswith(b"cmdstat_client|unblock:")
    ]  # fmt: skip
    calls = int(told.partition(b"calls=")[2].partition(b",")[0])
    assert 1 < calls < 40, "a few times a second, and not hundreds of times"
    for each in (caller, other):
        each.store.lane.close()
