"""What results cost: a drain of jobs that have some, and what is left when their time is over."""

from __future__ import annotations

import time

import trio

from benchmarks.memory import counted
from benchmarks.suite.drains import PLAIN, as_served, plain
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.tally import Tally, drained, enqueue
from benchmarks.suite.waits import engine_of
from benchmarks.support import Bench, bench
from trioq import App

KEPT = ("{bench}:results", "{bench}:results_due")


@row("results")
def results(scale: Scale) -> Figures:
    as_served()
    jobs = scale.of(40_000, 2_000)
    with bench() as b:
        drained(b, plain, PLAIN, jobs // 10)  # first uses don't count
        usual = drained(b, plain, PLAIN, jobs)
        kept = drained(b, returning, PLAIN, jobs)
        size = sum(_size(b, key) for key in KEPT)
        _check_kept(b)
    return {"results, of the plain drain": kept / usual, "… each that is kept": size / jobs}


def returning(tally: Tally) -> None:
    @tally.app.job("noop", result="1h")
    async def noop(pad: str) -> int:
        tally.one()
        return tally.done


@row("swept", rounds=1)
def swept(scale: Scale) -> Figures:
    as_served()
    with bench() as b:
        return trio.run(sweeping, b, scale.of(1_000_000, 2_000))


async def sweeping(b: Bench, jobs: int) -> Figures:
    """The size of a namespace before so many results, and when their time is over."""
    app = App()

    @app.job("noop", result="1s")
    async def noop(pad: str) -> int:
        return len(pad)

    async with engine_of(app, b.config):
        usual = 2 * b.config.worker.keep_done
        await trio.to_thread.run_sync(_run, b, usual)
        await trio.to_thread.run_sync(_gone, b)
        before = _namespace(b)
        await trio.to_thread.run_sync(_run, b, jobs)
        _check_kept(b)
        took_s = await trio.to_thread.run_sync(_gone, b)
        after = _namespace(b)
    return {"10⁶ results of 1 s: gone after": took_s, "… the namespace, of before": after / before}


def _run(b: Bench, jobs: int) -> None:
    before = counted(b, "done")
    enqueue(b, (PLAIN for _ in range(jobs)))
    while counted(b, "done") < before + jobs:
        time.sleep(0.05)


def _check_kept(b: Bench) -> None:
    if not b.admin.call("EXISTS", *KEPT):
        raise SystemExit("no result was kept")


def _gone(b: Bench) -> float:
    """Seconds until no result is left."""
    started = time.perf_counter()
    while b.admin.call("EXISTS", *KEPT):
        time.sleep(0.05)
    return time.perf_counter() - started


def _namespace(b: Bench) -> int:
    """Bytes of its keys, but for what is bounded and varies: summaries, and names of clients."""
    keys = {key.decode() for key in b.admin.call("KEYS", "{bench}:*")} - {"{bench}:done"}
    return sum(_size(b, key) for key in keys if not key.startswith("{bench}:sender:"))


def _size(b: Bench, key: str) -> int:
    return int(b.admin.call("MEMORY", "USAGE", key, "SAMPLES", "0") or 0)
