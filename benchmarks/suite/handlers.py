"""Handlers that do something, 64 at a time: the part that they get of what the bare work allows."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable

import trio

from benchmarks.suite.drains import as_served
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.tally import Tally, drained, enqueue, with_metrics, with_workers
from benchmarks.support import bench
from trioq import Call, Engine
from trioq.core.events import Event, JobSucceeded

WORKERS = 64
CALL = Call("work", {})


def spin() -> None:
    """About 1 ms of computing, always the same amount."""
    for _ in range(ROUNDS):
        pass


def _rounds_of_1_ms() -> int:
    count = 200_000
    started = time.thread_time()
    for _ in range(count):
        pass
    return int(count * 0.001 / (time.thread_time() - started))


ROUNDS = _rounds_of_1_ms()


def waits(tally: Tally) -> None:
    @tally.app.job("work")
    async def work() -> None:
        await trio.sleep(0.001)
        tally.one()


def waits_in_asyncio(tally: Tally) -> None:
    @tally.app.job("work", runtime="asyncio")
    async def work() -> None:
        await asyncio.sleep(0.001)
        tally.one_in_thread()


def tiny_in_asyncio(tally: Tally) -> None:
    @tally.app.job("work", runtime="asyncio")
    async def work() -> None:
        tally.one_in_thread()


def blocks(tally: Tally) -> None:
    @tally.app.job("work")
    def work() -> None:
        time.sleep(0.01)
        tally.one_in_thread()


def spins(tally: Tally) -> None:
    @tally.app.job("work")
    async def work() -> None:
        spin()
        tally.one()


async def bare_tasks(jobs: int) -> None:
    async def some() -> None:
        for _ in range(jobs // WORKERS):
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        for _ in range(WORKERS):
            nursery.start_soon(some)


def bare_threads(jobs: int) -> None:
    def some() -> None:
        for _ in range(jobs // WORKERS):
            time.sleep(0.01)

    threads = [threading.Thread(target=some) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bare_loop(jobs: int) -> None:
    for _ in range(jobs):
        spin()


async def bare_programs(jobs: int) -> None:
    async def some() -> None:
        for _ in range(jobs // WORKERS):
            await trio.run_process(["true"], stdout=subprocess.DEVNULL)

    async with trio.open_nursery() as nursery:
        for _ in range(WORKERS):
            nursery.start_soon(some)


def rate_of(jobs: int, work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return jobs / (time.perf_counter() - started)


@row("asyncio")
def in_asyncio(scale: Scale) -> Figures:
    """The other loop is another thread, to which each job goes, and from which its end comes."""
    as_served()
    some = WORKERS * scale.of(500, 20)
    with bench() as b:
        return {
            "tiny handlers in asyncio, 64 workers": drained(
                b, tiny_in_asyncio, CALL, some, workers=WORKERS
            ),
            "await 1 ms in asyncio, 64 workers, of trio's": drained(
                b, waits_in_asyncio, CALL, some, workers=WORKERS
            )
            / drained(b, waits, CALL, some, workers=WORKERS),
        }


@row("handlers")
def shares(scale: Scale) -> Figures:
    as_served()
    some, fewer = WORKERS * scale.of(500, 20), WORKERS * scale.of(100, 5)
    with bench() as b:
        return {
            "await 1 ms, 64 workers, of bare tasks": drained(b, waits, CALL, some, workers=WORKERS)
            / rate_of(some, lambda: trio.run(bare_tasks, some)),
            "block 10 ms, 64 workers, of bare threads": drained(
                b, blocks, CALL, fewer, workers=WORKERS
            )
            / rate_of(fewer, lambda: bare_threads(fewer)),
            "spin 1 ms, 64 workers, of a bare loop": drained(b, spins, CALL, fewer, workers=WORKERS)
            / rate_of(fewer, lambda: bare_loop(fewer)),
        }


@row("programs")
def programs(scale: Scale) -> Figures:
    as_served()
    jobs = WORKERS * scale.of(30, 4)
    bare = rate_of(jobs, lambda: trio.run(bare_programs, jobs))
    with bench(top='[commands.work]\nargv = ["true"]') as b:
        config = with_workers(with_metrics(b.config), WORKERS)
        enqueue(b, (CALL for _ in range(jobs)))
        tally = Tally(jobs)

        def report(event: Event) -> None:
            if isinstance(event, JobSucceeded):
                tally.one()

        async def run() -> None:
            async with trio.open_nursery() as nursery:
                engine = await nursery.start(Engine(tally.app, config, report=report).run)
                await tally.all_done.wait()
                engine.drain()

        trio.run(run)
    return {"run a program, 64 workers, of bare ones": tally.rate / bare}
