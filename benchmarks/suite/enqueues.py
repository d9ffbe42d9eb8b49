"""Enqueues: in bulk, one by one, and by many tasks at once."""

from __future__ import annotations

import time

import trio

from benchmarks import enqueue
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.support import Bench, bench
from trioq import Call, connect

CALL = Call("noop", {"pad": "x" * 200})
TASKS = 100


@row("enqueue")
def enqueues(scale: Scale) -> Figures:
    jobs = scale.of(50_000, 2_000)
    with bench() as b:
        bare = enqueue.bare(b, jobs // 10, CALL)
        single = enqueue.single(b, jobs // 10, CALL)
        return {
            "enqueue in bulk": enqueue.bulk(b, jobs, CALL),
            "enqueue one by one": single,
            "… of redis-py's bare EVALSHA": single / bare,
            "enqueue, 100 tasks at once": trio.run(at_once, b, jobs // TASKS),
        }


async def at_once(b: Bench, each: int) -> float:
    """Jobs per second of all tasks, which each enqueue one after the other."""
    b.clear()

    async def some() -> None:
        for _ in range(each):
            await client.enqueue(CALL)

    async with connect(b.config) as client:
        await client.enqueue(CALL)
        started = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(some)
        return TASKS * each / (time.perf_counter() - started)
