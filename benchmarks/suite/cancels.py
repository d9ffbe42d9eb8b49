"""How soon a running job hears that it shall end, and how long many take to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter

import trio

from benchmarks import latency
from benchmarks.suite.drains import end, serve
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.tally import enqueue
from benchmarks.suite.waits import engine_of
from benchmarks.support import Bench, bench, percentile
from trioq import App, Call, connect_sync

#: Of one engine.
WORKERS = 1_000

#: An app for engines in processes of their own.
SLEEPERS = """
import trio
import trioq

app = trioq.App()


@app.job
async def sleeper() -> None:
    await trio.sleep_forever()
"""


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


@row("cancel many", rounds=1)
def many(scale: Scale) -> Figures:
    """Running jobs of many engines, cancelled by their name as an operator would."""
    engines, each = scale.of(10, 1), scale.of(WORKERS, 100)
    with bench(top='app = "sleepers:app"', worker=f"count = {each}") as b:
        (b.directory / "sleepers.py").write_text(SLEEPERS)
        enqueue(b, (Call("sleeper", {}) for _ in range(engines * each)))
        supervisor = serve(b, "--processes", str(engines))
        try:
            while _running(b) < engines * each:
                time.sleep(0.1)
            time.sleep(1.0)  # all have begun
            started = time.perf_counter()
            told = _told(b, "--name", "sleeper", "--wait", "60s", "--yes")
            took_s = time.perf_counter() - started
        finally:
            end([supervisor])
    if told != {"stopped": engines * each}:
        raise SystemExit(f"cancelled {engines * each:,}: {dict(told)}")
    return {"10,000 that run, cancelled by name": took_s}


def _told(b: Bench, *options: str) -> Counter[str]:
    """How often ``trioq cancel`` tells which outcome."""
    argv = [sys.executable, "-m", "trioq", "cancel", str(b.file), *options, "--json"]
    told = json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=False).stdout)
    return Counter(each["outcome"] for each in told)


def _running(b: Bench) -> int:
    held = b.admin.call("KEYS", "{bench}:running:*")
    return sum(int(b.admin.call("HLEN", key)) for key in held)
