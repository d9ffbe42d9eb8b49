"""An app whose handlers run in processes, with middleware around them and a hook for failures."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator

import trioq

app = trioq.App(isolation="process", runtime="asyncio")

#: What the hook was told, in the engine's process.
told: list[tuple[trioq.Failure, int]] = []


def _note(job: trioq.Job, what: str) -> None:
    with open(job.payload["notes"], "a", encoding="utf-8") as notes:
        notes.write(f"{what} {os.getpid() != int(os.environ['TRIOQ_TEST_ENGINE'])}\n")


@app.middleware
async def in_asyncio(job: trioq.Job) -> AsyncIterator[None]:
    await asyncio.sleep(0)
    _note(job, "async")
    try:
        yield
    except ValueError:
        _note(job, "ValueError")
        raise
    _note(job, "done")


@app.middleware
def plain(job: trioq.Job) -> Iterator[None]:
    _note(job, f"plain {threading.current_thread() is threading.main_thread()}")
    yield


@app.on_failure
async def hear(failure: trioq.Failure) -> None:
    await asyncio.sleep(0)
    told.append((failure, os.getpid()))


@app.job
def work(notes: str) -> None: ...


@app.job
async def fail(notes: str) -> None:
    await asyncio.sleep(0)
    raise ValueError("no")


@app.job
def die() -> None:
    os._exit(3)
