"""taskiq on a Redis list, its fastest broker: no results, arguments as they come."""

from __future__ import annotations

import asyncio
import sys

import notes
import uvloop
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(notes.URL)
run = uvloop.run


@broker.task
async def noop(pad):
    notes.one()


@broker.task
async def late(sent_ns):
    notes.late(sent_ns)


@broker.task
async def wait(pad):
    await asyncio.sleep(0.001)
    notes.one()


TASKS = {"noop": noop, "late": late, "wait": wait}


async def start():
    await broker.startup()


async def stop():
    await broker.shutdown()


async def enqueue(job, value):
    await TASKS[job].kiq(value)


def worker(slots):
    command = [sys.executable, "-m", "taskiq", "worker", "on_taskiq:broker", "--workers", "1"]
    options = ["--max-async-tasks", str(slots), "--max-prefetch", str(slots), "--no-parse"]
    return [*command, *options, "--log-level", "WARNING"]
