"""Enqueues as the users of a peer do; runs in the peer's own environment.

    drive.py MODULE worker SLOTS           prints the command that runs a worker
    drive.py MODULE single JOB N BYTES     one after the other
    drive.py MODULE bulk JOB N BYTES       as many at a time as the peer takes
    drive.py MODULE idle N                 each when the one before it has begun

A module has ``enqueue(job, value)`` and ``worker(slots)``, and if it likes ``enqueue_many(job,
values)``, ``start()``, ``stop()`` and ``run``, what runs a coroutine. The first four may be
coroutine functions. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import glob
import importlib
import inspect
import json
import os
import sys
import time
from typing import Any

import notes

#: At a time, where the peer takes many; more gain nothing.
BULK = 500
#: At a time, where only the benchmark is in a hurry: to fill a queue that is measured later.
HURRY = 50
#: Between two jobs of an idle worker.
PAUSE_S = 0.02
#: A worker that is still starting may take so long with the first.
PATIENCE_S = 30.0


async def call(function: Any, *args: Any) -> Any:
    made = function(*args)
    return await made if inspect.isawaitable(made) else made


async def single(peer: Any, job: str, count: int, size: int) -> dict[str, float]:
    pad = "x" * size
    await call(peer.enqueue, job, pad)
    started = time.perf_counter()
    if inspect.iscoroutinefunction(peer.enqueue):
        for _ in range(count):
            await peer.enqueue(job, pad)
    else:
        for _ in range(count):
            peer.enqueue(job, pad)
    return {"seconds": time.perf_counter() - started}


async def bulk(peer: Any, job: str, count: int, size: int) -> dict[str, float]:
    """``many`` tells whether the peer has a way to do that; if not, it is only in a hurry."""
    pad, many = "x" * size, hasattr(peer, "enqueue_many")
    started = time.perf_counter()
    for first in range(0, count, BULK):
        values = [pad] * min(BULK, count - first)
        if many:
            await call(peer.enqueue_many, job, values)
        elif inspect.iscoroutinefunction(peer.enqueue):
            for some in range(0, len(values), HURRY):
                sent = values[some : some + HURRY]
                await asyncio.gather(*(peer.enqueue(job, value) for value in sent))
        else:
            for value in values:
                peer.enqueue(job, value)
    return {"seconds": time.perf_counter() - started, "many": many}


async def idle(peer: Any, count: int) -> dict[str, float]:
    for _ in range(count):
        before, until = noted(), time.monotonic() + PATIENCE_S
        await call(peer.enqueue, "late", time.monotonic_ns())
        while noted() == before:
            if time.monotonic() > until:
                raise SystemExit(f"a job hasn't begun within {PATIENCE_S:g} s")
            await asyncio.sleep(0.002)
        await asyncio.sleep(PAUSE_S)
    return {"seconds": 0.0}


def noted() -> int:
    return sum(os.stat(name).st_size for name in glob.glob(f"{notes.DIRECTORY}/late-*"))


async def main(peer: Any, command: str, arguments: list[str]) -> Any:
    if command == "worker":
        return peer.worker(int(arguments[0]))
    if hasattr(peer, "start"):
        await call(peer.start)
    try:
        if command == "idle":
            return await idle(peer, int(arguments[0]))
        job, count, size = arguments
        ways = {"single": single, "bulk": bulk}
        return await ways[command](peer, job, int(count), int(size))
    finally:
        if hasattr(peer, "stop"):
            await call(peer.stop)


if __name__ == "__main__":
    module = importlib.import_module(sys.argv[1])
    run = getattr(module, "run", asyncio.run)
    print(json.dumps(run(main(module, sys.argv[2], sys.argv[3:]))))
