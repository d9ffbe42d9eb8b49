"""How soon a job starts that has waited for something, once it may: idle engines must hear it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.waits import engine_of
from benchmarks.support import Bench, bench, percentile
from trioq import Admin, App, SyncClient, connect_admin, connect_sync
from trioq.core.limits import LimitSettings

LIMITS = """
[limits.one]
jobs = ["holds", "follows"]
concurrency = 1
[limits.each]
jobs = ["holds, of a tenant", "follows, of a tenant"]
key = "tenant"
concurrency = 1
[limits.slow]
jobs = ["paced"]
rate = 20
[limits.few]
jobs = ["few"]
concurrency = 1
"""

#: Whoever is idle by then waits for a bell.
IDLE_S = 0.03


@attrs.define
class Two:
    """Two engines, each of which serves one queue, and what they run."""

    b: Bench
    client: SyncClient
    admin: Admin
    app: App = attrs.field(factory=App)
    begun: trio.MemoryReceiveChannel[float] = attrs.field(init=False)
    """When each job did, epoch seconds."""
    may_end: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        send, self.begun = trio.open_memory_channel[float](100)

        async def holds(tenant: int = 0) -> None:
            send.send_nowait(time.time())
            await self.may_end.wait()

        async def passes(tenant: int = 0) -> None:
            send.send_nowait(time.time())

        for name in ("holds", "holds, of a tenant", "few"):
            self.app.job(name)(holds)
        for name in ("follows", "follows, of a tenant", "paced", "plain"):
            self.app.job(name)(passes)

    async def enqueue(self, name: str, queue: str, tenant: int | None = None) -> None:
        await trio.to_thread.run_sync(
            lambda: self.client.enqueue(name, {"tenant": 0}, queue=queue, fair_key=tenant)
        )

    async def until_it_waits(self) -> None:
        """For a limit, and the engines are idle."""
        while not self.b.admin.call("ZCARD", "{bench}:limited"):  # noqa: ASYNC110
            await trio.sleep(0.001)
        await trio.sleep(IDLE_S)

    async def freed(self, of: str = "", tenant: int | None = None) -> float:
        """When a handler was told to end, whose slot its own engine can't use."""
        self.may_end = trio.Event()
        await self.enqueue(f"holds{of}", "high", tenant)
        await self.begun.receive()
        await self.enqueue(f"follows{of}", "low", tenant)
        await self.until_it_waits()
        at = time.time()
        self.may_end.set()
        return at

    async def freed_of_a_tenant(self) -> float:
        return await self.freed(", of a tenant", 7)

    async def due(self) -> float:
        """When the permit comes that the second of two waits for."""
        for _ in range(2):
            await self.enqueue("paced", "low")
        await self.begun.receive()
        return float(self.b.admin.call("ZSCORE", "{bench}:tats", "slow")) / 1e6

    async def resumed(self) -> float:
        self.admin.pause("low")
        await self.enqueue("plain", "low")
        await trio.sleep(IDLE_S)
        at = time.time()
        await trio.to_thread.run_sync(self.admin.resume, "low")
        return at

    async def raised(self) -> float:
        """When a limit was said to be higher, of which another engine has all."""
        self.may_end.set()
        await trio.sleep(IDLE_S)  # those of the last time have ended
        self.may_end = trio.Event()
        self.admin.set_limit("few", LimitSettings(concurrency=1))
        await self.enqueue("few", "high")
        await self.begun.receive()
        await self.enqueue("few", "low")
        await self.until_it_waits()
        at = time.time()
        more = LimitSettings(concurrency=2)
        await trio.to_thread.run_sync(self.admin.set_limit, "few", more)
        return at


@asynccontextmanager
async def two_engines(b: Bench) -> AsyncIterator[Two]:
    """They drain in the end."""
    high, low = (
        attrs.evolve(b.config, queues=(queue,), default_queue=queue.name)
        for queue in b.config.queues
    )
    with connect_sync(b.config) as client, connect_admin(b.config) as admin:
        two = Two(b, client, admin)
        async with engine_of(two.app, high), engine_of(two.app, low):
            yield two
            two.may_end.set()


async def late_ms(b: Bench, times: int) -> dict[str, list[float]]:
    """Milliseconds from when each job might start to its handler's first line."""
    found = dict[str, list[float]]()
    async with two_engines(b) as two:
        ways: dict[str, Callable[[], Awaitable[float]]] = {
            "a slot freed by another engine": two.freed,
            "a fair key's slot freed by another engine": two.freed_of_a_tenant,
            "a permit that falls due": two.due,
            "a queue resumed": two.resumed,
            "a limit raised": two.raised,
        }
        for what, happens in ways.items():
            late = found[what] = list[float]()
            for _ in range(times):
                may = await happens()
                late.append((await two.begun.receive() - may) * 1000)
    return found


@row("wakings")
def wakings(scale: Scale) -> Figures:
    with bench(top=LIMITS) as b:
        found = trio.run(late_ms, b, scale.of(100, 10))
    return {f"{what} → handler, p99": percentile(late, 0.99) for what, late in found.items()}
