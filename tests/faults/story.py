"""Real engines and a client in the test's own process, and what must be true when they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import trio

import trioq
from tests.support import PATIENCE_S, Server, wait_until
from trioq.core.config import Config, QueueConfig, RedisConfig
from trioq.core.config.sections import ObservabilityConfig, ReaperConfig, WorkerConfig
from trioq.core.events import BootLost, Event, SettlementRefused
from trioq.store.inspect import Stats, stats


@attrs.define
class Story:
    """Some jobs, numbered; each start is counted.

    Args:
      url: Where the engines and the client find the server.
      worker: What differs from the usual ``[worker]``.
    """

    server: Server
    url: str
    worker: dict[str, Any] = attrs.field(factory=dict[str, Any])
    started: Counter[int] = attrs.field(factory=Counter[int])
    events: list[Event] = attrs.field(factory=list[Event])
    app: trioq.App = attrs.field(factory=trioq.App)

    def __attrs_post_init__(self) -> None:
        @self.app.job("work")
        async def work(n: int) -> None:
            self.started[n] += 1
            await trio.sleep(0.005)

    @property
    def config(self) -> Config:
        usual = {"count": 4, "heartbeat_interval_s": 0.1, "lease_s": 20.0}
        return Config(
            namespace="t",
            queues=(QueueConfig("low"),),
            redis=RedisConfig.from_url(self.url, read_timeout_s=1.0, connect_timeout_s=2.0),
            worker=WorkerConfig(**{**usual, **self.worker}),
            reaper=ReaperConfig(interval_s=0.2),
            observability=ObservabilityConfig(bind=""),
        )

    def engine(self) -> trioq.Engine:
        return trioq.Engine(self.app, self.config, report=self.events.append)

    async def enqueue(self, jobs: int) -> None:
        async with trioq.connect(self.config) as client:
            for n in range(jobs):
                await client.enqueue("work", {"n": n})

    async def play(self, jobs: int, also: Callable[[], bool] = lambda: True) -> None:
        """Two engines, until every job is done, and that is true, and they have gone."""
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                standing = [self.engine() for _ in range(2)]
                for engine in standing:
                    await nursery.start(engine.run)
                await self.enqueue(jobs)
                await self.until_done(jobs)
                await trio.to_thread.run_sync(wait_until, also)
                for engine in standing:
                    engine.drain()

    async def until_done(self, jobs: int) -> None:
        await trio.to_thread.run_sync(wait_until, lambda: self.done() >= jobs)

    def done(self) -> int:
        return int(self.server.call("HGET", "{t}:stats", "done") or 0)

    def stats(self) -> Stats:
        store = self.server.store("t")
        try:
            return stats(store, ["low"])
        finally:
            store.lane.close()

    def all_ran_once(self, jobs: int) -> None:
        """Nothing was lost, nothing ran twice, and nobody was told that it had lost anything."""
        assert self.started == Counter(range(jobs)), "every job was started once"
        left = self.stats()
        assert (left.counters["done"], left.dead, left.running, left.strays) == (jobs, 0, 0, 0)
        assert left.counters["enqueued"] == left.counters["claimed"] == jobs
        assert [e for e in self.events if isinstance(e, BootLost | SettlementRefused)] == []
