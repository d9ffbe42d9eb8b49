"""A breaker that all engines share opens, probes and closes as one; and who resets one, all."""

from __future__ import annotations

import pytest
import trio

import trioq
from tests.engine.virtual import Running, World, calm
from trioq.core.events import (
    BreakerChanged,
    EngineStarted,
    JobFailed,
    JobStarted,
    JobSucceeded,
)

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock

BREAKER = {"failure_threshold": 0.5, "window_s": 60.0, "cooldown_s": 30.0, "min_samples": 8}


class Api:
    """What handlers of all engines depend on."""

    def __init__(self, world: World, *, shared: bool = True, takes_s: float = 2.0) -> None:
        self.world = world
        self.is_broken = True
        self.running = self.most = 0
        breaker = trioq.Breaker("api", shared=True) if shared else trioq.Breaker("api")
        retry = trioq.Retry(max_attempts=1000, base=1.0, cap=1.0, jitter=0.0)
        world.config = calm(breaker=BREAKER, count=4)

        @world.app.job("call", retry=retry, breaker=breaker)
        async def call() -> None:
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await trio.sleep(takes_s)
            finally:
                self.running -= 1
            if self.is_broken:
                raise ConnectionError("away")

    async def engines(self, count: int) -> list[Running]:
        return [await self.world.start() for _ in range(count)]

    async def opened(self, engines: int) -> float:
        """When all have heard that it is open."""
        await self.world.reported(BreakerChanged, engines, name="api", after="open")
        await self.world.until(lambda: self.running == 0)
        self.most = 0
        return self.world.now


def states(engines: list[Running]) -> list[str]:
    return [each.engine.status().breakers["call"] for each in engines]


async def test_failures_of_all_engines_open_it_for_all(autojump_clock: Clock, world: World) -> None:
    api = Api(world)
    engines = await api.engines(3)
    world.enqueue("call", 9)  # three fail in each: none has seen enough by itself
    await api.opened(3)
    assert states(engines) == ["open"] * 3


async def test_one_probe_runs_in_the_whole_namespace(autojump_clock: Clock, world: World) -> None:
    api = Api(world)
    await api.engines(3)
    world.enqueue("call", 40)
    opened_at = await api.opened(3)
    await trio.sleep(100.0)
    probes = [at for at, _ in world.timed(JobStarted) if at > opened_at]
    assert len(probes) == 3, "about every 32 seconds"
    assert api.most == 1


async def test_it_closes_for_all_after_good_probes_that_all_engines_share(
    autojump_clock: Clock, world: World
) -> None:
    api = Api(world)
    engines = await api.engines(2)
    uids = world.enqueue("call", 40)
    await api.opened(2)
    api.is_broken = False
    await world.reported(BreakerChanged, 2, after="closed")
    assert 1 < api.most <= 8, "it grows, and not beyond its samples"
    await world.reported(JobSucceeded, 40, within_s=60.0)
    assert {event.uid for event in world.of(JobSucceeded)} == set(uids)
    assert states(engines) == ["closed"] * 2


async def test_an_engine_that_dies_with_the_probe_does_not_keep_it(
    autojump_clock: Clock, world: World
) -> None:
    api = Api(world, takes_s=5.0)
    engines = await api.engines(2)
    world.enqueue("call", 20)
    opened_at = await api.opened(2)
    await world.until(lambda: api.running == 1)
    with_probe = next(each for each in engines if each.engine.status().running)
    with_probe.kill()
    killed_at = world.now
    api.is_broken = False
    await world.reported(BreakerChanged, after="closed")
    assert world.now - killed_at < 120.0
    assert [at for at, _ in world.timed(BreakerChanged, after="half_open")][-1] > opened_at
    await world.reported(JobSucceeded, 20)


async def test_a_new_boot_does_not_say_again_what_the_last_one_has_found(
    autojump_clock: Clock, world: World
) -> None:
    api = Api(world)
    (only,) = await api.engines(1)
    world.enqueue("call", 3)  # fewer than open it, and so are those that are good then
    await world.reported(JobFailed, 3)
    api.is_broken = False
    await world.reported(JobSucceeded, 3)
    await trio.sleep(30.0)
    (first,) = world.of(EngineStarted)
    assert world.store.reap(first.boot, world.store.observe()[first.boot], 3).word == "reaped"
    await world.reported(EngineStarted, 2)
    await trio.sleep(30.0)
    assert states([only]) == ["closed"]
    assert not world.of(BreakerChanged)


async def test_while_the_server_is_away_it_stays_as_it_was(
    autojump_clock: Clock, world: World
) -> None:
    api = Api(world)
    (only,) = await api.engines(1)
    world.enqueue("call", 20)
    await api.opened(1)
    only.link.cut()
    await trio.sleep(35.0)
    assert states([only]) == ["open"]
    only.link.mend()
    api.is_broken = False
    await world.reported(JobSucceeded, 20)
    assert states([only]) == ["closed"]


@pytest.mark.parametrize("shared", [True, False])
async def test_who_resets_it_resets_it_in_all_engines_within_a_beat(
    autojump_clock: Clock, world: World, shared: bool
) -> None:
    api = Api(world, shared=shared)
    engines = await api.engines(2)
    world.enqueue("call", 60)
    await api.opened(2)
    await trio.sleep(1.0)
    world.store.reset_breaker("operator", 1, "api")
    await world.reported(
        BreakerChanged, 2, within_s=world.config.worker.heartbeat_interval_s, after="closed"
    )
    assert states(engines) == ["closed"] * 2
    await api.opened(4)
    await trio.sleep(25.0)
    assert len(world.of(BreakerChanged, after="closed")) == 2, "it is closed once"


async def test_a_reset_from_before_it_opened_does_not_close_it(
    autojump_clock: Clock, world: World
) -> None:
    api = Api(world, shared=False)
    world.store.reset_breaker("operator", 1, "api")
    await api.engines(1)
    world.enqueue("call", 20)
    await api.opened(1)
    await trio.sleep(25.0)
    assert world.of(BreakerChanged, after="closed") == []


async def test_a_probe_that_finds_no_job_is_free_for_another_engine(
    autojump_clock: Clock, world: World
) -> None:
    api = Api(world)
    await api.engines(2)
    world.enqueue("call", 20)
    await api.opened(2)
    world.store.purge("operator", 1, "low", ["call"], 100)
    await trio.sleep(60.0)
    api.is_broken = False
    world.enqueue("call", 12)
    await world.reported(JobSucceeded, 12, within_s=60.0)
