"""arq: no results, and it looks for jobs as often as it can."""

from __future__ import annotations

import asyncio
import sys

import notes
import uvloop
from arq import create_pool
from arq.connections import RedisSettings

run = uvloop.run
pool = None


async def noop(context, pad):
    notes.one()


async def late(context, sent_ns):
    notes.late(sent_ns)


async def wait(context, pad):
    await asyncio.sleep(0.001)
    notes.one()


class WorkerSettings:
    functions = (noop, late, wait)
    redis_settings = RedisSettings.from_dsn(notes.URL)
    keep_result = 0
    max_jobs = notes.SLOTS
    queue_read_limit = notes.SLOTS * 4
    # Half a second, as it comes, is for those who don't mind to wait.
    poll_delay = 0.001
    log_results = False


async def start():
    global pool  # noqa: PLW0603
    pool = await create_pool(WorkerSettings.redis_settings)


async def stop():
    await pool.aclose()


async def enqueue(job, value):
    await pool.enqueue_job(job, value)


def worker(slots):
    quiet = "import logging; logging.disable(logging.INFO)"
    start = "import on_arq, arq; arq.run_worker(on_arq.WorkerSettings)"
    return [sys.executable, "-c", f"{quiet}; import uvloop; uvloop.install(); {start}"]
