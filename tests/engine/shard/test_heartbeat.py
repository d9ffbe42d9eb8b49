"""The lease: kept while the loop turns at all, lost where it is stuck, and what ends with it."""

from __future__ import annotations

import threading
import time

import pytest
import trio

from tests.engine.rig import Rig, config_of
from tests.engine.virtual import World, calm
from trioq.core.calls import Step
from trioq.core.events import (
    BootLost,
    EngineReaped,
    JobReleased,
    JobStarted,
    JobSucceeded,
    LoopStalled,
)
from trioq.core.pacemaker import MARGIN
from trioq.engine.bridge import ThreadCaller
from trioq.engine.outage import Outage
from trioq.engine.shard.reaper import Reaper
from trioq.errors import StoreUnreachable

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock

QUICK = {"lease_s": 5.0, "heartbeat_interval_s": 1.0, "reaper_s": 1.0}


async def test_a_careful_handler_is_cancelled_before_anyone_else_may_take_its_job(
    autojump_clock: Clock, world: World
) -> None:
    ended: list[float] = []

    @world.app.job("careful", on_lease_loss="cancel", timeout=1e6)
    async def careful() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(world.now)

    world.config = calm(**QUICK, count=1)
    first = await world.start()
    (uid,) = world.enqueue("careful")
    await world.reported(JobStarted)
    await world.start()  # it watches
    await trio.sleep(10.3)
    first.link.cut()
    cut_at = world.now
    await world.reported(JobStarted, 2)
    again_at = world.now
    assert len(ended) == 1
    # Its last good call was up to an interval before; the lease counts from there.
    assert cut_at + 5.0 * (1 - MARGIN) - 1.0 <= ended[0] <= cut_at + 5.0 * (1 - MARGIN)
    assert ended[0] < again_at, "never at the same time"
    assert [event.uid for event in world.of(JobReleased)] == [uid]


async def test_an_ordinary_handler_outlives_an_outage_and_its_result_counts(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("ordinary", timeout=1e6)
    async def ordinary() -> None:
        await trio.sleep(300.0)

    world.config = calm(**QUICK)
    running = await world.start()
    world.enqueue("ordinary")
    await world.reported(JobStarted)
    running.link.cut()
    await trio.sleep(280.0)
    running.link.mend()
    await world.reported(JobSucceeded)
    await world.until(lambda: world.count("done") == 1)
    assert len(world.of(JobStarted)) == 1
    assert world.of(BootLost) == []


async def test_a_careful_handler_is_left_alone_while_the_lease_is_renewed(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("careful", on_lease_loss="cancel", timeout=1e6)
    async def careful() -> None:
        await trio.sleep(100.0)

    world.config = calm(**QUICK, count=1)
    await world.start()
    world.enqueue("careful", 3)
    await world.reported(JobSucceeded, 3)
    assert len(world.of(JobStarted)) == 3


async def test_what_must_not_overlap_ends_when_a_beat_is_told_that_the_boot_is_gone(
    autojump_clock: Clock, world: World
) -> None:
    """The steps may still be under way then: it isn't they alone that tell."""

    @world.app.job("careful", on_lease_loss="cancel", timeout=1e6)
    async def careful() -> None:
        await trio.sleep_forever()

    def step(asked: Step) -> None:
        raise StoreUnreachable("no step arrives")

    world.config = calm(**QUICK)
    running = await world.start()
    world.enqueue("careful")
    await world.reported(JobStarted)
    dispatcher = running.engine.shards[0].dispatcher
    assert dispatcher is not None
    world.store.step = step  # type: ignore[method-assign, assignment]
    assert world.store.reap(dispatcher.boot, world.store.observe()[dispatcher.boot], 3).moved == 1
    reaped_at = world.now
    await world.reported(JobReleased)
    assert world.now - reaped_at <= world.config.worker.heartbeat_interval_s + 0.5
    assert not dispatcher.may_start()
    running.kill()


@pytest.mark.direct  # a lost registration is another boot
async def test_a_handler_that_blocks_the_loop_for_a_while_keeps_the_lease(rig: Rig) -> None:
    blocked_s = 2 * rig.config.worker.lease_s

    @rig.app.job("blocking")
    async def blocking() -> None:
        await trio.lowlevel.checkpoint()
        time.sleep(blocked_s)  # noqa: ASYNC251 (that is what it's about)

    rig.config = config_of(count=1, loop_stall_s=30.0)
    rig.enqueue("blocking")
    async with rig.running():
        other = Beside(rig)
        try:
            await rig.reported(JobSucceeded)
        finally:
            reaped = other.stop()
    assert reaped == []
    assert rig.of(BootLost) == rig.of(LoopStalled) == []
    assert rig.stats().counters["done"] == 1


@pytest.mark.direct  # a lost registration is another boot
async def test_a_loop_that_is_stuck_loses_its_lease_and_says_where(
    rig: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    release = threading.Event()

    @rig.app.job("stuck")
    async def stuck() -> None:
        release.wait(timeout=20.0)

    rig.config = config_of(count=1, loop_stall_s=0.5)
    rig.enqueue("stuck")
    async with rig.running() as engine:
        other = Beside(rig, until_reaped=release.set)
        try:
            await rig.reported(JobStarted)
            (stalled,) = await rig.reported(LoopStalled)
            await rig.reported(BootLost)
        finally:
            reaped = other.stop()
        engine.hurry()
    assert len(reaped) == 1
    assert stalled.for_s > 0.5
    handler, _, innermost = stalled.where.partition(", which waits at ")
    assert handler.startswith(f"{__file__}:")
    assert handler.endswith(" in stuck")
    assert "threading.py" in innermost
    assert "blocked" in capfd.readouterr().err, "said at once, beside the loop that can't"


class Beside:
    """Another engine's reaper, in a loop and a thread of its own."""

    def __init__(self, rig: Rig, until_reaped: object = None) -> None:
        self.reaped: list[str] = []
        self._until_reaped = until_reaped
        self._rig = rig
        self._end = trio.Event()
        self._ready = threading.Event()
        self._token: trio.lowlevel.TrioToken
        self._thread = threading.Thread(target=trio.run, args=(self._watch,))
        self._thread.start()
        self._ready.wait()

    async def _watch(self) -> None:
        def report(event: object) -> None:
            if isinstance(event, EngineReaped):
                self.reaped.append(event.boot)
                if callable(self._until_reaped):
                    self._until_reaped()

        worker = self._rig.config.worker
        store = self._rig.server.store("t")
        reaper = Reaper(
            caller=ThreadCaller(store, 2.0),
            me="",
            span=lambda: 0,
            lease_s=worker.lease_s,
            interval_s=0.2,
            max_reaps=worker.max_reaps,
            outage=Outage(report, lambda: 0.5),
            report=report,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reaper.run)
            self._token = trio.lowlevel.current_trio_token()
            self._ready.set()
            await self._end.wait()
            nursery.cancel_scope.cancel()
        store.lane.close()

    def stop(self) -> list[str]:
        self._token.run_sync_soon(self._end.set)
        self._thread.join()
        return self.reaped
