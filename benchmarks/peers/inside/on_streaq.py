"""streaQ: uvloop where its anyio runs on asyncio, no results."""

from __future__ import annotations

import asyncio
import sys

import notes
import uvloop
from streaq import Worker

run = uvloop.run
worker_ = Worker(
    redis_url=notes.URL,
    concurrency=notes.SLOTS,
    prefetch=notes.SLOTS,
    anyio_kwargs={"use_uvloop": True},
)


@worker_.task(ttl=0, silent=True)
async def noop(pad):
    notes.one()


@worker_.task(ttl=0, silent=True)
async def late(sent_ns):
    notes.late(sent_ns)


@worker_.task(ttl=0, silent=True)
async def wait(pad):
    await asyncio.sleep(0.001)
    notes.one()


TASKS = {"noop": noop, "late": late, "wait": wait}


async def start():
    await worker_.__aenter__()


async def stop():
    await worker_.__aexit__(None, None, None)


async def enqueue(job, value):
    await TASKS[job].enqueue(value)


async def enqueue_many(job, values):
    await worker_.enqueue_many([TASKS[job].enqueue(value) for value in values])


def worker(slots):
    return [f"{sys.prefix}/bin/streaq", "run", "on_streaq:worker_"]
