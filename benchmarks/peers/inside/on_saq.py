"""SAQ on Redis."""

from __future__ import annotations

import asyncio
import sys

import notes
import uvloop
from saq import Queue

queue = Queue.from_url(notes.URL)
run = uvloop.run


async def noop(context, *, value):
    notes.one()


async def late(context, *, value):
    notes.late(value)


async def wait(context, *, value):
    await asyncio.sleep(0.001)
    notes.one()


settings = {"queue": queue, "functions": [noop, late, wait], "concurrency": notes.SLOTS}


async def start():
    await queue.connect()


async def stop():
    await queue.disconnect()


async def enqueue(job, value):
    # No result is kept: the others keep none either.
    await queue.enqueue(job, value=value, ttl=-1)


def worker(slots):
    return [f"{sys.prefix}/bin/saq", "on_saq.settings", "--quiet"]
