"""The gates of the system that trioq grew from: a stall, latency, resets, at a steady rate.

``TRIOQ_TEST_FAULTS=long`` gives each its full length. The fourth, kill -9, is in
:mod:`tests.faults.test_kills`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

import trioq
from tests.engine.rig import Rig, rig_on
from tests.faults.proxy import Delay, Proxy, Reset, Rule, named
from tests.faults.resp import SCRIPTS
from tests.support import PATIENCE_S, Server
from trioq.core.config import Config, RedisConfig
from trioq.core.events import (
    BootLost,
    BreakerChanged,
    JobReleased,
    JobStarted,
    JobSucceeded,
    SettlementRefused,
)

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"
RATE_PER_S = 20

pytestmark = [pytest.mark.trio, pytest.mark.direct, pytest.mark.timeout(600 if LONG else 120)]


@attrs.define
class Load:
    """Jobs at a steady rate, and when each ended."""

    rig: Rig
    enqueued: dict[str, float] = attrs.field(factory=dict[str, float])
    succeeded: dict[str, float] = attrs.field(factory=dict[str, float])

    def report(self, event: object) -> None:
        if isinstance(event, JobSucceeded):
            self.succeeded[event.uid] = time.monotonic()
        self.rig.report(event)  # type: ignore[arg-type]

    async def offer(self, seconds: float, client: trioq.Client) -> None:
        """Enqueue at the rate, for so long, whatever it takes each time."""
        for _ in range(int(seconds * RATE_PER_S)):
            before = time.monotonic()
            handle = await client.enqueue("work", {})
            self.enqueued[handle.uid] = before
            await trio.sleep_until(trio.current_time() + 1 / RATE_PER_S)

    async def all_done(self, within_s: float) -> None:
        with trio.fail_after(within_s):
            await self.rig.until(lambda: len(self.succeeded) >= len(self.enqueued), within_s)

    def p95_s(self) -> float:
        took = self._took_s()
        return took[int(len(took) * 0.95)]

    def median_s(self, since: int = 0) -> float:
        """Of those that were enqueued after so many."""
        took = self._took_s(since)
        return took[len(took) // 2]

    def _took_s(self, since: int = 0) -> list[float]:
        jobs = [*self.enqueued.items()][since:]
        return sorted(self.succeeded[uid] - at for uid, at in jobs)

    def ran_once(self) -> None:
        starts = Counter(event.uid for event in self.rig.of(JobStarted))
        assert starts == dict.fromkeys(self.enqueued, 1)
        assert [*self.rig.of(BootLost), *self.rig.of(SettlementRefused)] == []
        assert self.rig.of(BreakerChanged) == [], "no breaker is to blame, and none is stuck"


@pytest.fixture
def proxy(own_server: Server) -> Iterator[Proxy]:
    with Proxy(own_server.direct) as proxy:
        yield proxy


@asynccontextmanager
async def under_load(server: Server, proxy: Proxy) -> AsyncIterator[tuple[Load, trioq.Client]]:
    """An engine with defaults behind the proxy, and a client beside it."""
    app = trioq.App()

    @app.job("work")
    async def work() -> None:
        await trio.sleep(0.01)

    config = Config(namespace="t", redis=RedisConfig.from_url(proxy.url))
    config = attrs.evolve(config, observability=attrs.evolve(config.observability, bind=""))
    with rig_on(server) as rig:
        load = Load(rig)
        async with (
            trioq.connect(url=server.url, namespace="t") as client,
            trio.open_nursery() as nursery,
        ):
            engine = await nursery.start(trioq.Engine(app, config, report=load.report).run)
            yield load, client
            engine.drain()


async def test_a_stall_loses_nothing_and_is_over_soon(own_server: Server, proxy: Proxy) -> None:
    async with under_load(own_server, proxy) as (load, client):
        await load.offer(2.0, client)
        await load.all_done(PATIENCE_S)
        first = load.median_s()
        own_server.pause()
        await trio.sleep(30.0 if LONG else 3.0)  # how long the server stands still
        own_server.resume()
        await load.offer(2.0, client)
        await load.all_done(PATIENCE_S)
        load.ran_once()
        before = len(load.enqueued)
        await load.offer(2.0, client)
        await load.all_done(PATIENCE_S)
        assert load.median_s(before) < 1.0 + 10 * first, "steady again"


async def test_latency_slows_and_requeues_nothing(own_server: Server, proxy: Proxy) -> None:
    async with under_load(own_server, proxy) as (load, client):
        slow = proxy.on(Delay(0.2, jitter=0.05), *SCRIPTS, "blpop", times=None)
        await load.offer(120.0 if LONG else 4.0, client)
        await load.all_done(PATIENCE_S)
        assert slow.struck > 10
        assert load.p95_s() < 5.0
        requeued = len(load.rig.of(JobReleased)) + len(load.rig.of(SettlementRefused))
        assert requeued < 0.01 * len(load.enqueued)
        proxy.clear()


async def test_resets_are_over_when_they_are_over(own_server: Server, proxy: Proxy) -> None:
    async with under_load(own_server, proxy) as (load, client):
        calls = named(*SCRIPTS, "blpop")
        seed = proxy.add(Rule(Reset(executed=True), calls, times=None, chance=0.05))
        await load.offer(60.0 if LONG else 4.0, client)
        assert seed.struck > 0
        proxy.clear()
        await load.all_done(PATIENCE_S)
        load.ran_once()
