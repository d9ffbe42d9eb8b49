"""How an engine works and lives: workers, beats, leases, the dead of others."""

from __future__ import annotations

import time

import trio

from tests.settings.observed.of_jobs import noop
from tests.settings.observed.place import Place, row
from tests.store.drive import Driver
from trioq.core.events import EngineReaped, EngineStarted, JobStarted, JobSucceeded, LoopStalled


@row("worker.count", 3)
async def count(place: Place) -> None:
    place.configure()
    gate = trio.Event()

    @place.app.job("gated")
    async def gated() -> None:
        await gate.wait()

    for _ in range(8):
        place.enqueue("gated")
    async with place.running():
        await place.reported(JobStarted, 3)
        with place.admin() as admin:
            assert [e["workers"] for e in admin.stats().as_json()["engines"]] == [3]
        assert len(place.of(JobStarted)) == place.of(EngineStarted)[0].workers == 3
        gate.set()
        await place.reported(JobSucceeded, 8)


@row("worker.heartbeat_interval", "50ms")
async def heartbeat_interval(place: Place) -> None:
    place.configure()
    store = place.store
    async with place.running():
        # In this time there are three of the default's beats.
        await place.until(lambda: max(store.observe().values()) >= 10, 3.0)
    store.lane.close()


def a_dead_engine(place: Place, jobs: int = 0) -> Driver:
    """One that has registered, claimed so many jobs, and never beats."""
    dead = Driver(place.store)
    assert len(dead.step(jobs)) == jobs
    return dead


@row("worker.lease", "400ms")
async def lease(place: Place) -> None:
    place.configure(worker__heartbeat_interval="100ms", reaper__interval="100ms")
    dead = a_dead_engine(place)
    async with place.running():
        with trio.fail_after(4):  # the default is 5 s
            await place.reported(EngineReaped, boot=dead.engine)
    dead.store.lane.close()  # type: ignore[attr-defined]


@row("worker.max_reaps", 1)
async def max_reaps(place: Place) -> None:
    place.configure(
        worker__lease="400ms", worker__heartbeat_interval="100ms", reaper__interval="100ms"
    )
    noop(place)
    uid = place.enqueue("noop")
    dead = a_dead_engine(place, jobs=1)
    async with place.running():
        (reaped,) = await place.reported(EngineReaped, boot=dead.engine)
    assert reaped.dead == (uid,)
    dead.store.lane.close()  # type: ignore[attr-defined]


@row("worker.loop_stall", "200ms")
async def loop_stall(place: Place) -> None:
    place.configure(worker__heartbeat_interval="50ms")

    @place.app.job("blocks")
    async def blocks() -> None:
        time.sleep(0.8)  # noqa: ASYNC251 (that is what is looked for)

    place.enqueue("blocks")
    async with place.running():
        (stalled,) = await place.reported(LoopStalled)
    assert "in blocks" in stalled.where


@row("reaper.interval", "20ms")
async def reaper_interval(place: Place) -> None:
    place.configure()
    async with place.running():
        before = place.calls("hgetall")
        # In this time the default looks four times.
        await place.until(lambda: place.calls("hgetall") - before >= 30, 4.0)
