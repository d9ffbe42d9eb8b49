"""What somebody wants to end, on a real server: how the engine hears of it, whatever happens."""

from __future__ import annotations

import pytest
import trio

from tests.engine.rig import Rig, boot_of, config_of, gated
from tests.engine.shard.test_waits import is_waiting
from tests.support import PATIENCE_S
from trioq.core import pace
from trioq.core.events import (
    BootLost,
    EngineStopped,
    JobCancelled,
    JobReleased,
    JobStarted,
    JobSucceeded,
    SettlementRefused,
)
from trioq.engine.shard import bell, shard

pytestmark = pytest.mark.trio


@pytest.fixture(autouse=True)
def no_poll(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait ends by itself while a test runs."""
    if "polls" not in request.keywords:
        for module in (bell, pace):
            monkeypatch.setattr(module, "POLL_S", 3600.0, raising=False)


async def runs(rig: Rig, count: int, *, workers: int = 4) -> list[str]:
    """So many jobs that sleep until they are cancelled, and run; in an engine of so many."""
    uids = rig.enqueue("gated", count)
    await rig.reported(JobStarted, min(count, workers))
    return uids


def ended_well(rig: Rig) -> bool:
    refused = rig.of(BootLost) + rig.of(SettlementRefused) + rig.of(JobReleased)
    return refused == []


async def gone(rig: Rig, count: int) -> None:
    """Wait until the server has heard that so many were cancelled, and holds nothing more."""
    await rig.until(lambda: rig.stats().counters.get("cancelled") == count)
    await rig.until(lambda: not rig.key("EXISTS", f"asks:{boot_of(rig)}"))


@pytest.mark.direct  # it counts connections
@pytest.mark.parametrize("workers", [4, 2], ids=["with room", "without"])
async def test_an_engine_that_waits_is_told_at_once_without_another_connection(
    rig: Rig, workers: int
) -> None:
    rig.config = config_of(count=workers)
    gated(rig)
    async with rig.running():
        first, second = await runs(rig, 2)
        await rig.until(lambda: is_waiting(rig.server))
        lane = rig.wires["step"].lane
        assert rig.cancel(first, name="gated") == ["asked"]
        await rig.reported(JobCancelled, uid=first, reason="no")
        await gone(rig, 1)
        await rig.until(lambda: is_waiting(rig.server))
        assert rig.cancel(first, second, name="gated") == ["unknown", "asked"]
        await rig.reported(JobCancelled, uid=second)
        await gone(rig, 2)
        assert lane.generation == 1
    assert ended_well(rig)


async def test_an_end_frees_its_worker_though_the_engine_listens_for_asks(rig: Rig) -> None:
    rig.config = config_of(count=1)
    gate = gated(rig)
    async with rig.running():
        await runs(rig, 3, workers=1)
        await rig.until(lambda: is_waiting(rig.server))
        gate.set()
        await rig.reported(JobSucceeded, 3)
    assert ended_well(rig)


@pytest.mark.direct  # connections are counted
async def test_an_engine_that_drains_is_told_and_leaves_by_the_connection_that_it_has(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard, "SIGN_OFF_S", PATIENCE_S)  # a busy machine may take longer
    gated(rig)
    async with rig.running() as engine:
        uids = await runs(rig, 2)
        lane = rig.wires["step"].lane
        engine.drain()
        await rig.until(lambda: is_waiting(rig.server))
        for uid in uids:
            assert rig.cancel(uid, name="gated") == ["asked"]
            await rig.reported(JobCancelled, uid=uid)
        await rig.reported(EngineStopped, signed_off=True)
        assert lane.generation == 1
    assert rig.stats().counters.get("cancelled") == 2
    assert ended_well(rig)


async def test_without_the_permission_to_end_waits_asks_are_looked_for(own_rig: Rig) -> None:
    rig = own_rig
    rig.server.call("ACL", "SETUSER", "default", "-client|unblock")
    rig.config = config_of(count=1)
    gated(rig)
    async with rig.running() as engine:
        (first,) = await runs(rig, 1)
        rig.cancel(first, name="gated")
        await rig.reported(JobCancelled)
        (second,) = rig.enqueue("gated")
        await rig.reported(JobStarted, 2)
        engine.drain()
        rig.cancel(second, name="gated")
        await rig.reported(JobCancelled, 2)
    assert ended_well(rig)


@pytest.mark.parametrize("what", ["connections", "server"])
async def test_what_is_asked_while_nobody_listens_is_heard_when_somebody_does(
    own_rig: Rig, what: str
) -> None:
    rig = own_rig
    rig.config = config_of(count=1, lease_s=60.0)
    gated(rig)
    async with rig.running():
        (uid,) = await runs(rig, 1)
        await rig.until(lambda: is_waiting(rig.server))
        if what == "server":
            rig.cancel(uid, name="gated")
            await trio.to_thread.run_sync(rig.server.kill)
            await trio.to_thread.run_sync(rig.server.start)
            rig.reconnect()
        else:
            rig.server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            rig.reconnect()
            rig.cancel(uid, name="gated")
        await rig.reported(JobCancelled, uid=uid)
        await gone(rig, 1)
    assert len(rig.of(JobStarted)) == 1
    assert rig.of(BootLost) == rig.of(SettlementRefused) == []


async def test_many_are_told_at_once(rig: Rig) -> None:
    rig.config = config_of(count=500, lease_s=30.0)
    gated(rig)
    async with rig.running():
        uids = await runs(rig, 500, workers=500)
        assert rig.cancel(*uids, name="gated") == ["asked"] * 500
        await rig.reported(JobCancelled, 500)
        await gone(rig, 500)
    assert len(rig.of(JobStarted)) == 500
    assert ended_well(rig)


async def test_what_was_asked_of_a_killed_engine_runs_nowhere_again(rig: Rig) -> None:
    rig.config = config_of(count=2)
    gate = gated(rig)
    with trio.CancelScope() as life:
        async with rig.running():
            (uid, other) = await runs(rig, 2)
            first = boot_of(rig)
            for wire in rig.wires.values():
                wire.lose = ["request"] * 1_000_000
            assert rig.cancel(uid, name="gated") == ["asked"]
            life.cancel()
    assert first in {engine.id for engine in rig.stats().engines}
    gate.set()
    async with rig.running():
        await rig.reported(JobSucceeded, uid=other)
        await rig.until(lambda: rig.stats().counters.get("cancelled") == 1)
    assert len(rig.of(JobStarted, uid=uid)) == 1
