"""A boot that the server doesn't know any more: what ran is cancelled, a new one begins."""

from __future__ import annotations

import pytest
import trio

from tests.engine.rig import Rig, Tally, boot_of, config_of, gated, noop
from trioq.core.events import (
    BootLost,
    EngineStarted,
    EngineStopping,
    JobStarted,
    JobSucceeded,
    SettlementRefused,
)
from trioq.engine.handlers import place
from trioq.engine.shard.shard import HASTY_S

pytestmark = pytest.mark.trio


async def reap(rig: Rig, engine: str) -> None:
    """Take the engine's jobs away, as if it had stopped beating."""

    def reaped() -> bool:
        counter = rig.store.observe().get(engine)
        return counter is not None and rig.store.reap(engine, counter, 3).word == "reaped"

    await rig.until(reaped)


async def test_handlers_of_a_lost_boot_are_cancelled_before_a_new_one_claims(rig: Rig) -> None:
    tally = Tally()

    @rig.app.job("watched")
    async def watched() -> None:
        with tally.one():
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.1)

    rig.enqueue("watched")
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        first = boot_of(rig)
        await reap(rig, first)
        await rig.reported(JobStarted, 2)
        engine.hurry()
    assert [event.why for event in rig.of(BootLost)] == ["gone"]
    assert first != rig.of(EngineStarted)[1].boot
    assert tally.most == 1
    assert {event.attempt for event in rig.of(JobStarted)} == {1}


async def test_what_a_handler_returns_after_its_boot_is_lost_reaches_no_other(rig: Rig) -> None:
    runs = 0

    @rig.app.job("stubborn")
    async def stubborn() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            with trio.CancelScope(shield=True):
                await rig.reported(BootLost)
                await trio.sleep(1.5 * HASTY_S)  # a boot that doesn't wait would have begun

    rig.enqueue("stubborn")
    async with rig.running():
        await rig.reported(JobStarted)
        first = boot_of(rig)
        await reap(rig, first)
        (_, second) = await rig.reported(EngineStarted, 2)
        await rig.reported(JobSucceeded, 2)
        await rig.until(lambda: rig.stats().counters.get("done") == 1)
    assert runs == 2
    step = rig.wires["step"].last
    assert step is not None
    assert first != step.boot == second.boot
    assert rig.of(SettlementRefused) == []
    assert len(rig.of(BootLost)) == 1


async def test_a_lost_boot_is_noticed_though_all_workers_are_busy(rig: Rig) -> None:
    gated(rig)
    rig.enqueue("gated", 4)
    async with rig.running() as engine:
        await rig.reported(JobStarted, 4)
        await reap(rig, boot_of(rig))
        await rig.reported(BootLost)
        engine.hurry()


async def test_a_boot_lost_during_the_grace_ends_the_handlers_at_once(rig: Rig) -> None:
    gated(rig)
    rig.config = config_of(grace_s=600.0)
    rig.enqueue("gated")
    with trio.fail_after(30):
        async with rig.running() as engine:
            await rig.reported(JobStarted)
            engine.drain()
            await rig.reported(EngineStopping)
            await reap(rig, boot_of(rig))
    assert len(rig.of(BootLost)) == 1
    stats = rig.stats()
    assert (stats.queues["low"].ready, stats.running) == (1, 0)
    assert rig.left_properly()


@pytest.mark.direct  # it brings a network of its own, and counts
@pytest.mark.parametrize("was_executed", [False, True])
async def test_an_outcome_that_comes_after_the_reap_changes_nothing(
    rig: Rig, was_executed: bool
) -> None:
    """Sent once it is surely lost; sent twice, nobody can tell, and the engine says so."""
    gate = gated(rig)
    (uid,) = rig.enqueue("gated")
    async with rig.running():
        await rig.reported(JobStarted)
        first = boot_of(rig)
        waits, let_go = rig.wires["step"].hold_back(*["reply"] * was_executed)
        gate.set()
        await waits.wait()
        await reap(rig, first)
        let_go.set()
        (lost,) = await rig.reported(BootLost)
        await rig.reported(EngineStarted, 2)
        await rig.until(lambda: rig.stats().counters.get("done") == 1)
    assert (lost.lost, lost.unknown) == ((0, 1) if was_executed else (1, 0))
    assert len(rig.of(JobStarted, uid=uid)) == (1 if was_executed else 2)
    assert rig.stats().counters["done"] == 1


@pytest.mark.direct  # a lost registration is another boot
async def test_a_count_that_differs_from_the_servers_gives_everything_back(rig: Rig) -> None:
    gate = gated(rig)
    rig.enqueue("gated", 2)
    async with rig.running():
        await rig.reported(JobStarted, 2)
        first = boot_of(rig)
        # A claim that the engine never heard of: something is badly wrong.
        (stray,) = rig.enqueue("gated", queue="high")
        await rig.reported(JobStarted, 3)
        rig.key("HDEL", f"running:{first}", stray)
        rig.key("LPUSH", "ready:high", stray)
        await rig.reported(BootLost, why="count differs")
        gate.set()
        await rig.until(lambda: rig.stats().counters.get("done") == 3)
        assert rig.stats().counters.get("reaped", 0) == 0, "it signed off, nobody had to reap it"
        assert set(rig.store.observe()) == {boot_of(rig)} != {first}
    assert {event.attempt for event in rig.of(JobStarted)} == {1}


async def test_an_engine_survives_the_loss_of_the_whole_data_set(rig: Rig) -> None:
    noop(rig)
    gated(rig)
    rig.enqueue("gated")
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        rig.server.call("FLUSHALL")
        await rig.reported(BootLost, why="gone")
        rig.enqueue("noop")
        await rig.reported(JobSucceeded, name="noop")
        engine.hurry()


async def test_what_runs_after_a_lost_boot_says_that_it_is_the_new_ones(rig: Rig) -> None:
    here: list[str] = []

    @rig.app.job("looks")
    async def looks() -> None:
        here.append(place.get().boot)

    rig.config = config_of(count=1)
    async with rig.running():
        for n in (1, 2):
            rig.enqueue("looks")
            await rig.reported(JobSucceeded, n)
            await rig.until(lambda: not rig.stats().records)
            await reap(rig, boot_of(rig))
            await rig.reported(EngineStarted, n + 1)
    assert here == [event.boot for event in rig.of(EngineStarted)][:2]


async def test_an_engine_that_loses_boot_after_boot_pauses_in_between(rig: Rig) -> None:
    noop(rig)
    stop = trio.Event()

    async def take_away() -> None:
        while not stop.is_set():
            for engine, counter in rig.store.observe().items():
                rig.store.reap(engine, counter, 3)
            await trio.sleep(0.001)

    async with rig.running(), trio.open_nursery() as nursery:
        nursery.start_soon(take_away)
        started = trio.current_time()
        await rig.reported(BootLost, 6)
        took_s = trio.current_time() - started
        stop.set()
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)
    # Six pauses of up to a second, drawn evenly: together longer than this but once in 10^8.
    assert took_s > 0.15
