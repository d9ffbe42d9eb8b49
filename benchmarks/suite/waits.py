"""How soon who waits for a job hears of its end, and what it costs to wait."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from benchmarks import latency
from benchmarks.drain import measured
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.support import Bench, bench, percentile
from trioq import App, Call, Engine, as_done, connect, connect_sync
from trioq.core.config import Config
from trioq.observe.log_setup import logger
from trioq.observe.logs import LogLines

CALL = Call("noop", {})

#: Enqueues a job, waits for it, and tells when it went on.
Waiter = Callable[[], Awaitable[float]]
WaiterOf = Callable[[Config], AbstractAsyncContextManager[Waiter]]


@row("waits")
def waits(scale: Scale) -> Figures:
    jobs = scale.of(500, 30)
    with bench() as b:
        start = percentile(trio.run(latency.trioq_latency, b, jobs, 0.0), 0.5)
        thread = percentile(trio.run(heard, b, jobs, _thread), 0.5)
        task = percentile(trio.run(heard, b, jobs, _task), 0.5)
        return {
            "idle, handler's return → thread that waits, p50": thread,
            "… of enqueue → handler, thread": thread / start,
            "idle, handler's return → task that waits, p50": task,
            "… of enqueue → handler, task": task / start,
            **trio.run(standing, b, scale.of(1_000, 100), scale.of(20, 6)),
        }


async def heard(
    b: Bench, jobs: int, waiter_of: Callable[[Config], AbstractAsyncContextManager[Waiter]]
) -> list[float]:
    """Milliseconds from each handler's last line to when the one who waits for it goes on."""
    app, took_ms, returned = App(), list[float](), [0.0]

    @app.job("noop", result=60)
    async def noop() -> int:
        await trio.sleep(latency.PAUSE_S)  # whoever waits listens by then
        returned[0] = time.perf_counter()
        return 1

    async with engine_of(app, b.config), waiter_of(b.config) as wait:
        for _ in range(jobs):
            await trio.sleep(latency.PAUSE_S)
            took_ms.append((await wait() - returned[0]) * 1000)
    return took_ms


@asynccontextmanager
async def engine_of(app: App, config: Config) -> AsyncIterator[None]:
    """An engine that drains in the end."""
    with open(os.devnull, "w") as log:  # noqa: ASYNC230
        report = LogLines(logger("warning", "json", log))
        async with trio.open_nursery() as nursery:
            engine = await nursery.start(Engine(app, config, report=report).run)
            yield
            engine.drain()


@asynccontextmanager
async def _thread(config: Config) -> AsyncIterator[Waiter]:
    def one() -> float:
        client.enqueue(CALL).wait()
        return time.perf_counter()

    with connect_sync(config) as client:
        yield lambda: trio.to_thread.run_sync(one)


@asynccontextmanager
async def _task(config: Config) -> AsyncIterator[Waiter]:
    async def one() -> float:
        await (await client.enqueue(CALL)).wait()
        return time.perf_counter()

    async with connect(config) as client:
        yield one


async def standing(b: Bench, count: int, seconds: float) -> Figures:
    """What so many waits cost that nothing comes of, beyond what the server does without them."""
    b.clear()
    idle = await _spent(b, seconds)
    async with connect(b.config) as client, trio.open_nursery() as nursery:
        handles = await client.enqueue_many([CALL] * count)

        async def wait() -> None:
            async for _ in as_done(handles):
                raise AssertionError("nobody runs these")

        nursery.start_soon(wait)
        await trio.to_thread.run_sync(_registered, b, count)
        spent = await _spent(b, seconds)
        nursery.cancel_scope.cancel()
    return {
        "1,000 waits of one client, requests": spent["requests"] - idle["requests"],
        "… the server's CPU time": (spent["server"] - idle["server"]) * 100,
        "… the client's CPU time": (spent["client"] - idle["client"]) * 100,
    }


def _registered(b: Bench, count: int) -> None:
    while int(b.admin.call("HLEN", "{bench}:waits")) < count:
        time.sleep(0.01)


async def _spent(b: Bench, seconds: float) -> dict[str, float]:
    """Requests and CPU seconds, for each second."""
    requests = _requests(b)
    with measured(b) as cost:
        await trio.sleep(seconds)
    made = _requests(b) - requests
    spent = {"requests": made, "server": cost.server_s, "client": cost.client_s}
    return {what: value / cost.wall_s for what, value in spent.items()}


def _requests(b: Bench) -> float:
    """How many scripts the server has been asked for."""
    asked = b.info("commandstats").get("cmdstat_evalsha", "calls=0").split(",")[0]
    return float(asked.removeprefix("calls="))
