"""How soon a running job hears that it shall end."""

from __future__ import annotations

import time

import trio

from benchmarks import latency
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.waits import engine_of
from benchmarks.support import Bench, bench, percentile
from trioq import App, connect_sync


@row("cancel")
def cancel(scale: Scale) -> Figures:
    with bench() as b:
        heard_ms, told_ms = trio.run(one_by_one, b, scale.of(500, 20))
    return {
        "idle, cancel → trio.Cancelled in the handler, p50": percentile(heard_ms, 0.5),
        "… p99": percentile(heard_ms, 0.99),
        "… cancel → told that it was stopped, p99": percentile(told_ms, 0.99),
    }


async def one_by_one(b: Bench, jobs: int) -> tuple[list[float], list[float]]:
    """Milliseconds from each cancel to when the handler has heard of it, and to its answer."""
    app, runs, heard_at = App(), trio.Semaphore(0), [0.0]
    heard_ms, told_ms = list[float](), list[float]()

    @app.job
    async def sleeper() -> None:
        runs.release()
        try:
            await trio.sleep_forever()
        finally:
            heard_at[0] = time.perf_counter()

    def ask() -> None:
        started = time.perf_counter()
        outcome = handle.cancel("measured", wait=5)
        told_ms.append((time.perf_counter() - started) * 1000)
        heard_ms.append((heard_at[0] - started) * 1000)
        if outcome != "stopped":
            raise SystemExit(f"{outcome} instead of stopped")

    async with engine_of(app, b.config):
        with connect_sync(b.config) as client:
            for _ in range(jobs):
                handle = await trio.to_thread.run_sync(client.enqueue, sleeper.call())
                await runs.acquire()
                await trio.sleep(latency.PAUSE_S)
                await trio.to_thread.run_sync(ask)
    return heard_ms, told_ms
