"""dramatiq on Redis: threads, no results, the middleware that it comes with but Prometheus.

Its own benchmark, too, stubs nothing else out. Handlers that await have its ``AsyncIO``.
"""

from __future__ import annotations

import asyncio
import sys

import dramatiq
import notes
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware.asyncio import AsyncIO

broker = RedisBroker(url=notes.URL)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(pad):
    notes.one()


@dramatiq.actor
def late(sent_ns):
    notes.late(sent_ns)


@dramatiq.actor
async def wait(pad):
    await asyncio.sleep(0.001)
    notes.one()


ACTORS = {"noop": noop, "late": late, "wait": wait}


def enqueue(job, value):
    ACTORS[job].send(value)


def worker(slots):
    command = [sys.executable, "-m", "dramatiq", "on_dramatiq", "--skip-logging"]
    return [*command, "--processes", "1", "--threads", str(slots)]
