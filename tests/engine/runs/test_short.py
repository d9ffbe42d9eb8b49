"""`def` handlers that wait for a moment: threads beside each other take one after the other."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator

import attrs
import pytest
import trio

from tests.engine.handlers.attempts import until
from tests.engine.runs.test_hands import Rows
from tests.engine.virtual import World, calm
from tests.support import PATIENCE_S, new_job
from trioq.core import ahead, tempo
from trioq.core.events import JobCancelled, JobDied, JobFailed, JobStarted, JobSucceeded
from trioq.engine.handlers import abandoned_threads
from trioq.engine.runs import hands

pytestmark = pytest.mark.trio


@pytest.fixture
async def world(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> World:
    """In the time of the wall, as threads are. All handlers are short, and many are claimed."""
    monkeypatch.setattr(tempo, "QUICK_S", -1.0)
    monkeypatch.setattr(tempo, "SHORT_S", 3600.0)
    monkeypatch.setattr(ahead, "AHEAD_S", 3600.0)
    return World(nursery, config=calm(queues=("low",), count=2))


@pytest.fixture
async def release() -> AsyncIterator[threading.Event]:
    """Lets the threads of a test end."""
    event = threading.Event()
    yield event
    event.set()
    await until(lambda: not abandoned_threads())


@attrs.define
class Pairs:
    """Handlers that end when two of them run at the same time."""

    barrier: threading.Barrier = attrs.field(factory=lambda: threading.Barrier(2))
    threads: set[int] = attrs.field(factory=set[int])

    def meet(self) -> None:
        self.threads.add(threading.get_ident())
        self.barrier.wait(30)


async def test_they_run_beside_each_other_and_are_told_of_together(world: World) -> None:
    rows, pairs = Rows(), Pairs()
    world.listeners = (rows,)
    world.app.job("meets")(pairs.meet)
    uids = world.enqueue("meets", 200)
    await world.start()
    await world.reported(JobSucceeded, 200, within_s=PATIENCE_S)
    assert sorted(event.uid for event in world.of(JobSucceeded)) == sorted(uids)
    assert sorted(event.uid for event in world.of(JobStarted)) == sorted(uids)
    assert rows.count > 150
    assert len(pairs.threads) < 50


async def test_one_that_takes_long_is_a_run_by_itself_and_the_others_go_on(
    world: World, release: threading.Event
) -> None:
    @world.app.job("short")
    def short(blocks: bool = False) -> None:
        if blocks:
            assert release.wait(30)

    world.enqueue("short", 20)
    (long,) = world.enqueue("short", payload={"blocks": True})
    world.enqueue("short", 20)
    await world.start()
    await world.reported(JobStarted, uid=long, within_s=PATIENCE_S)
    await world.reported(JobSucceeded, 40, within_s=PATIENCE_S)
    assert world.cancel(long, name="short") == ["asked"]
    await world.reported(JobCancelled, uid=long, within_s=PATIENCE_S)


async def test_one_is_over_in_time_however_long_a_short_one_may_take(
    world: World, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "LONG_S", 3600.0)

    @world.app.job("short", timeout=0.1)
    def short(blocks: bool = False) -> None:
        if blocks:
            assert release.wait(30)

    world.enqueue("short", 5)
    (long,) = world.enqueue("short", payload={"blocks": True})
    await world.start()
    (failed,) = await world.reported(JobFailed, uid=long, within_s=PATIENCE_S)
    assert failed.error.kind == "timeout"
    await world.reported(JobSucceeded, 5, within_s=PATIENCE_S)


async def test_what_no_thread_has_begun_goes_back_when_the_engine_drains(
    world: World, release: threading.Event
) -> None:
    @world.app.job("short")
    def short() -> None:
        assert release.wait(30)

    uids = world.enqueue("short", 50)
    running = await world.start()
    await world.reported(JobStarted, 2, within_s=PATIENCE_S)
    running.engine.drain()
    release.set()
    await running.ended.wait()
    done = {event.uid for event in world.of(JobSucceeded)}
    assert len(done) < 10
    assert done.isdisjoint(world.jobs)
    assert done | world.jobs == set(uids)


async def test_a_failure_stops_no_thread_but_its_own(world: World) -> None:
    @world.app.job("short")
    def short(fails: bool = False) -> None:
        if fails:
            raise ValueError("it does")

    for n in range(60):
        world.enqueue("short", payload={"fails": n % 20 == 10})
    await world.start()
    await world.reported(JobFailed, 3, within_s=PATIENCE_S)
    await world.reported(JobSucceeded, 57, within_s=PATIENCE_S)


async def test_where_one_thread_ends_another_takes_its_place_while_the_others_are_at_work(
    world: World, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "LONG_S", 3600.0)

    @world.app.job("short")
    def short(what: str) -> None:
        if what == "blocks":
            assert release.wait(30)
        if what == "fails":
            raise ValueError("it does")

    for what in ("is good", "blocks", "fails", *["is good"] * 5):
        world.enqueue("short", payload={"what": what})
    await world.start()
    await world.reported(JobFailed, within_s=PATIENCE_S)
    await world.reported(JobSucceeded, 6, within_s=PATIENCE_S)


async def test_what_a_thread_cannot_begin_is_told_of_while_the_others_are_at_work(
    world: World, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "LONG_S", 3600.0)

    @world.app.job("short")
    def short(blocks: bool = False) -> None:
        if blocks:
            assert release.wait(30)

    bad = new_job(name="short", payload=b"[]")
    world.enqueue("short", payload={"blocks": True})
    world.enqueue("short", 3)
    world.store.enqueue("another", 1, [bad])
    world.enqueue("short", 3)
    await world.start()
    await world.reported(JobDied, uid=bad.uid, within_s=PATIENCE_S)
    await world.reported(JobSucceeded, 6, within_s=PATIENCE_S)


async def test_so_many_are_claimed_ahead_as_run_beside_each_other(world: World) -> None:
    @world.app.job("short")
    def short() -> None:
        threading.Event().wait(0.01)

    world.enqueue("short", 60)
    running = await world.start()
    await world.reported(JobSucceeded, 60, within_s=PATIENCE_S)
    (shard,) = running.engine._parts.shards
    assert shard.dispatcher is not None
    mean_s = sum(event.took_s for event in world.of(JobSucceeded)) / 60
    assert shard.dispatcher._demand.ahead.gap_s < 0.75 * mean_s
