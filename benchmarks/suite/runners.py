"""Handlers with ``isolation="process"``: what computes, on two cores of one engine."""

from __future__ import annotations

import time

import attrs
import trio

from benchmarks.suite.drains import as_served
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.tally import enqueue
from benchmarks.support import Bench, bench
from trioq import App, Call, Engine
from trioq.core.events import Event, JobStarted, JobSucceeded

RUNNERS = 2

app = App(isolation="process")


@app.job
def compute(seconds: float) -> None:
    """So much of a core's time, however long it takes to get it."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@row("runners")
def runners(scale: Scale) -> Figures:
    as_served()
    jobs, seconds = 4, scale.of(10, 1) / 10
    tiny = scale.of(4_000, 40)
    with bench() as b:
        return {
            "4 × 1 s of computing, 2 runners": _took_s(b, jobs, seconds) / seconds,
            "tiny handlers, 2 runners": tiny / _took_s(b, tiny, 0.0),
        }


def _took_s(b: Bench, jobs: int, seconds: float) -> float:
    """From the start of the first job to the end of the last; all runners stand before."""
    worker = attrs.evolve(b.config.worker, runners=RUNNERS)
    config = attrs.evolve(b.config, worker=worker)
    times: list[float] = []
    done = trio.Event()
    left = RUNNERS + jobs

    def report(event: Event) -> None:
        nonlocal left
        if isinstance(event, JobStarted):
            times.append(time.perf_counter())
        if isinstance(event, JobSucceeded):
            left -= 1
            if left == jobs:
                times.clear()
                enqueue(b, (Call("compute", {"seconds": seconds}) for _ in range(jobs)))
            if left == 0:
                times.append(time.perf_counter())
                done.set()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            engine = await nursery.start(Engine(app, config, report=report).run)
            await done.wait()
            engine.drain()

    b.clear()
    enqueue(b, (Call("compute", {"seconds": 0.2}) for _ in range(RUNNERS)))
    trio.run(run)
    return times[-1] - times[0]
