"""The dead are reaped soon, the living never, whatever happens to whom."""

from __future__ import annotations

import random

import pytest
import trio

from tests.engine.virtual import Running, World, calm
from trioq.core.calls import Step, StepReply
from trioq.core.events import BootLost, EngineReaped, JobStarted, JobSucceeded

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock

#: As in the defaults.
QUICK = {"lease_s": 5.0, "heartbeat_interval_s": 1.0, "reaper_s": 1.0}


def long(world: World, takes_s: float = 20.0) -> None:
    @world.app.job("long", timeout=1e6)
    async def handler() -> None:
        await trio.sleep(takes_s)


@pytest.mark.parametrize("seed", range(5))
async def test_jobs_of_a_killed_engine_run_again_within_a_lease_and_two_polls(
    autojump_clock: Clock, world: World, seed: int
) -> None:
    draw = random.Random(seed)
    long(world)
    world.config = calm(**QUICK, count=1)
    victim = await world.start()
    (uid,) = world.enqueue("long")
    await world.reported(JobStarted)
    await trio.sleep(draw.random())
    await world.start()
    await trio.sleep(3.0 + draw.random() * 3)
    victim.kill()
    killed_at = world.now
    await world.reported(JobStarted, 2)
    # Its last sign of life was up to one poll of its own before.
    assert 5.0 - 1.0 <= world.now - killed_at <= 5.0 + 2 * 1.0 + 0.01
    assert {event.uid for event in world.of(JobStarted)} == {uid}
    (reaped,) = world.of(EngineReaped)
    assert (reaped.jobs, reaped.dead) == (1, ())


async def test_the_living_are_not_reaped_however_busy(autojump_clock: Clock, world: World) -> None:
    long(world, takes_s=100.0)
    world.config = calm(**QUICK, count=2)
    for _ in range(3):
        await world.start()
    world.enqueue("long", 12)
    await world.until(lambda: world.count("done") == 12)
    assert world.of(EngineReaped) == world.of(BootLost) == []
    assert len(world.of(JobStarted)) == 12


async def three_busy(world: World, takes_s: float) -> list[Running]:
    """Three engines that run two long jobs each."""
    long(world, takes_s)
    world.config = calm(**QUICK, count=2)
    engines = [await world.start() for _ in range(3)]
    world.enqueue("long", 6)
    await world.reported(JobStarted, 6)
    return engines


async def test_an_outage_longer_than_the_lease_reaps_nobody(
    autojump_clock: Clock, world: World
) -> None:
    engines = await three_busy(world, takes_s=120.0)
    for engine in engines:
        engine.link.cut()
    await trio.sleep(90.0)
    for engine in engines:
        engine.link.mend()
    await world.until(lambda: world.count("done") == 6)
    assert world.of(EngineReaped) == world.of(BootLost) == []
    assert len(world.of(JobStarted)) == 6


async def test_who_comes_back_first_after_an_outage_waits_for_the_others(
    autojump_clock: Clock, world: World
) -> None:
    engines = await three_busy(world, takes_s=60.0)
    for engine in engines:
        engine.link.cut()
    await trio.sleep(30.0)
    for engine in engines:
        engine.link.mend()
        await trio.sleep(1.5)  # all of them within less than a lease
    await world.until(lambda: world.count("done") == 6)
    assert world.of(EngineReaped) == world.of(BootLost) == []


async def test_who_alone_is_cut_off_past_its_lease_loses_its_jobs_once(
    autojump_clock: Clock, world: World
) -> None:
    long(world)
    world.config = calm(**QUICK, count=1)
    cut_off = await world.start()
    (uid,) = world.enqueue("long")
    await world.reported(JobStarted)
    await world.start()
    await world.start()
    cut_off.link.cut()
    await world.reported(EngineReaped)
    await world.reported(JobStarted, 2)
    cut_off.link.mend()
    await world.reported(BootLost, why="gone")
    await world.until(lambda: world.count("done") == 1)
    assert len(world.of(EngineReaped)) == 1
    assert {event.uid for event in world.of(JobStarted)} == {uid}


async def test_only_the_job_that_kills_its_engine_is_dead(
    autojump_clock: Clock, world: World
) -> None:
    kills = 0

    @world.app.job("ordinary")
    async def ordinary() -> None:
        await trio.sleep(1.0)

    @world.app.job("killer")
    async def killer() -> None:
        nonlocal kills
        kills += 1
        engines.pop().kill()
        await trio.sleep_forever()

    world.config = calm(**QUICK, count=8, max_reaps=3)
    world.enqueue("ordinary", 20)
    (bad,) = world.enqueue("killer")
    world.enqueue("ordinary", 20)
    engines = [await world.start()]
    while world.count("done") + len(world.dead) < 41:
        if not engines:
            engines.append(await world.start())
        await trio.sleep(0.5)
    assert world.dead == {bad}
    assert world.dump().reasons[bad] == "worker_lost"
    assert world.count("done") == 40
    assert 3 <= kills <= 4, "the first death blames nobody if others ran beside it"


async def test_a_reaper_that_was_itself_held_up_starts_over(
    autojump_clock: Clock, world: World
) -> None:
    """It sees two counters that stand still, and can't know whether its own gap hid a beat."""
    world.config = calm(**QUICK)
    await world.start()
    store = world.store
    store.register("slow.b00t", b'{"names": []}')
    began = world.now
    # It beats seldom, and always just before its lease would end.
    for _ in range(20):
        await trio.sleep(4.5)
        assert store.beat("slow.b00t")
    assert world.of(EngineReaped) == []
    await world.reported(EngineReaped, boot="slow.b00t")
    assert world.now - began <= 20 * 4.5 + 5.0 + 2.0


async def test_suspects_are_shared_out_one_to_each_engine(
    autojump_clock: Clock, world: World
) -> None:
    long(world, takes_s=10.0)
    world.config = calm(**QUICK, count=8)
    uids = world.enqueue("long", 9)
    store = world.store
    store.register("dead.b00t", b'{"names": []}')
    claimed = store.step(Step("dead.b00t", 1, 9, ("high", "low")))
    assert isinstance(claimed, StepReply)
    assert len(claimed.claims) == 9
    store.reap("dead.b00t", store.observe()["dead.b00t"], 3)
    for _ in range(3):
        await world.start()
    await world.reported(JobSucceeded, 9)
    began = sorted(at for at, _ in world.timed(JobStarted))
    # Three at a time, and none of the engines rests between two of its own by more than a poll.
    assert began[2] <= 1.0
    assert began[-1] <= 2 * 10.0 + 2.0
    assert sorted(event.uid for event in world.of(JobStarted)) == sorted(uids)
