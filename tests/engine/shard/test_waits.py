"""A step that waits at the server for a bell: what ends its wait, and what may happen meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.engine.rig import Rig, gated, noop
from tests.engine.virtual import World, calm
from tests.support import PATIENCE_S, Server
from trioq.core import pace
from trioq.core.calls import Gone, Step
from trioq.core.events import (
    BootLost,
    EngineStopped,
    JobStarted,
    JobSucceeded,
    RedisAway,
    SettlementRefused,
)
from trioq.core.pace import LINGER_S
from trioq.engine.engine import Engine
from trioq.engine.shard import shard

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


@pytest.fixture(autouse=True)
def no_poll(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait ends by itself while a test runs."""
    monkeypatch.setattr(pace, "POLL_S", 3600.0)


def is_waiting(server: Server) -> bool:
    """Whether a step waits for a bell, as the server sees it."""
    clients: bytes = server.call("CLIENT", "LIST")
    return any(b"cmd=blpop" in c and b"name=trioq:step" in c for c in clients.splitlines())


@asynccontextmanager
async def waiting(rig: Rig) -> AsyncIterator[Engine]:
    """An engine whose step waits; it is drained in the end."""
    async with rig.running() as engine:
        await rig.until(lambda: is_waiting(rig.server))
        yield engine


def lost_nothing(rig: Rig) -> bool:
    return rig.of(BootLost) == rig.of(SettlementRefused) == []


@pytest.mark.parametrize("word", ["poke", "gone"])
async def test_whoever_asks_for_a_step_does_not_wait_for_a_bell(rig: Rig, word: str) -> None:
    async with waiting(rig) as engine:
        dispatcher, sent = engine.shards[0].living, rig.wires["step"].sent
        assert dispatcher is not None
        before = len(sent)
        dispatcher.poke() if word == "poke" else dispatcher.beat_answered(Gone())
        await rig.until(lambda: len(sent) > before)
        await rig.until(lambda: is_waiting(rig.server))
    assert lost_nothing(rig)


@pytest.mark.direct  # it counts connections
async def test_a_wait_is_ended_without_another_connection(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard, "SIGN_OFF_S", PATIENCE_S)  # a busy machine may take longer
    gate = gated(rig)
    async with waiting(rig) as engine:
        lane = rig.wires["step"].lane
        rig.enqueue("gated", 2)
        await rig.reported(JobStarted, 2)
        await rig.until(lambda: is_waiting(rig.server))
        gate.set()
        await rig.until(lambda: rig.stats().counters.get("done") == 2)
        await rig.until(lambda: is_waiting(rig.server))
        engine.drain()
        await rig.reported(EngineStopped, signed_off=True)
        assert lane.generation == 1
    steps = rig.wires["step"].sent
    assert len(set(steps)) == len(steps), "nor was any sent again"


async def test_two_ends_in_a_row_end_two_waits(rig: Rig) -> None:
    """The second comes while the end of the first is still on its way."""
    async with waiting(rig) as engine:
        dispatcher, sent = engine.shards[0].living, rig.wires["step"].sent
        assert dispatcher is not None
        for _ in range(20):
            before = len(sent)
            dispatcher.poke()
            await rig.until(lambda before=before: len(sent) > before)  # type: ignore[misc]


async def test_a_scheduled_job_starts_when_it_is_due(rig: Rig) -> None:
    noop(rig)
    async with waiting(rig):
        rig.enqueue("noop", delay_ms=300)
        await rig.reported(JobSucceeded)


async def test_a_queue_that_is_resumed_is_claimed_from_at_once(rig: Rig) -> None:
    noop(rig)
    async with waiting(rig):
        rig.store.pause("operator", 1, "low", True)
        rig.enqueue("noop")
        rig.store.pause("operator", 2, "low", False)
        await rig.reported(JobSucceeded)


@pytest.mark.parametrize("what", ["connections", "scripts"])
async def test_what_the_server_forgets_meanwhile_costs_nothing(own_rig: Rig, what: str) -> None:
    rig = own_rig
    noop(rig)
    async with waiting(rig):
        if what == "scripts":
            rig.server.call("SCRIPT", "FLUSH")
        else:
            rig.server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        rig.enqueue("noop", 3)
        await rig.reported(JobSucceeded, 3)
        await rig.until(lambda: rig.stats().counters.get("done") == 3)
    assert len(rig.of(JobStarted)) == 3
    assert lost_nothing(rig)


@pytest.mark.direct  # it brings a network of its own
async def test_a_claim_that_came_with_a_bell_and_got_lost_is_run_once(rig: Rig) -> None:
    noop(rig)
    async with waiting(rig) as engine:
        dispatcher, wire = engine.shards[0].living, rig.wires["step"]
        assert dispatcher is not None
        wire.lose = ["", "reply"]  # of the step that this asks for; of the next, which waits
        dispatcher.poke()
        await rig.until(lambda: not wire.lose and is_waiting(rig.server))
        waiter = wire.sent[-1]
        rig.enqueue("noop", 2)
        await rig.reported(JobSucceeded, 2)
        assert wire.sent.count(waiter) == 2
        await rig.until(lambda: rig.stats().counters.get("done") == 2)
    assert len(rig.of(JobStarted)) == 2
    assert lost_nothing(rig)


@pytest.mark.direct  # it counts
async def test_a_step_that_was_cut_off_in_its_wait_is_sent_again_and_does_not_wait(
    own_rig: Rig,
) -> None:
    rig = own_rig
    async with waiting(rig):
        sent = rig.wires["step"].sent
        waiter = sent[-1]
        rig.server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await rig.until(lambda: sent[-1] != waiter)
        assert sent[-3:-1] == [waiter, waiter]


async def test_an_engine_drains_while_its_server_stands_still(own_rig: Rig) -> None:
    rig = own_rig
    async with waiting(rig) as engine:
        rig.server.pause()
        engine.drain()
        await rig.reported(EngineStopped, signed_off=False)
        rig.server.resume()


async def test_a_server_that_dies_while_a_step_waits_is_waited_for(own_rig: Rig) -> None:
    rig = own_rig
    noop(rig)
    async with waiting(rig):
        await trio.to_thread.run_sync(rig.server.kill)
        await rig.reported(RedisAway)
        await trio.to_thread.run_sync(rig.server.start)
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)


@pytest.mark.direct  # connections are counted
@pytest.mark.parametrize("word", ["unblock", "id"])
async def test_without_the_permission_to_end_waits_it_takes_a_connection(
    own_rig: Rig, word: str
) -> None:
    rig = own_rig
    rig.server.call("ACL", "SETUSER", "default", f"-client|{word}")
    gate = gated(rig)
    async with waiting(rig) as engine:
        dispatcher, sent = engine.shards[0].living, rig.wires["step"].sent
        assert dispatcher is not None
        before = len(sent)
        dispatcher.poke()
        await rig.until(lambda: len(sent) > before)
        rig.enqueue("gated", 2)
        await rig.reported(JobStarted, 2)
        connections = rig.wires["step"].lane.generation
        gate.set()
        await rig.until(lambda: rig.stats().counters.get("done") == 2)
        await rig.until(lambda: is_waiting(rig.server))
        assert rig.wires["step"].lane.generation == connections
    assert len(rig.of(JobStarted)) == 2
    assert lost_nothing(rig)


async def test_ends_are_told_at_once_or_wait_briefly_for_others(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("work", timeout=1e6)
    async def work(takes: float) -> None:
        await trio.sleep(takes)

    settled, step = list[float](), world.store.step

    def recorded(asked: Step) -> object:
        settled.extend([world.now] * len(asked.settlements))
        return step(asked)

    world.store.step = recorded  # type: ignore[method-assign, assignment]
    world.config = calm(count=4)
    await world.start()
    began = world.now
    for takes in (5.0, 5.0 + LINGER_S / 2, 10.0):
        world.enqueue("work", payload={"takes": takes})
    await world.reported(JobSucceeded, 3)
    await world.until(lambda: not world.jobs)
    ends = [began + 5.0 + LINGER_S] * 2 + [began + 10.0]
    assert settled == pytest.approx(ends, abs=1e-6), "the last one keeps nobody waiting"


async def test_who_asks_for_a_step_while_ends_wait_for_company_gets_it_at_once(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("work", timeout=1e6)
    async def work(takes: float) -> None:
        await trio.sleep(takes)

    world.config = calm(count=4)
    running = await world.start()
    dispatcher = running.engine.shards[0].living
    assert dispatcher is not None
    first, _ = (world.enqueue("work", payload={"takes": takes})[0] for takes in (5.0, 10.0))
    await world.reported(JobSucceeded)
    ended = world.now
    await trio.sleep(LINGER_S / 3)
    dispatcher.poke()
    await trio.testing.wait_all_tasks_blocked()
    assert first not in world.jobs
    assert world.now < ended + LINGER_S / 2
