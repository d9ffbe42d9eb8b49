"""Handlers of each kind that ask their engine's client for another job, and tell who that was."""

from __future__ import annotations

import asyncio
import threading

import trio

import trioq

#: Those that run where the engine is, and all. Who serves all starts a runner.
here, app = trioq.App(), trioq.App()

Told = tuple[int, int, int | None]
"""Which client it was, what the child has returned, and the child's deadline."""


@here.job(result="1h")
async def child(job: trioq.Job, n: int) -> tuple[int, int | None]:
    return n + 1, job.deadline_ms


async def _ask(job: trioq.Job, n: int) -> Told:
    handle = await job.client.enqueue(child.call(n))
    return id(job.client), *(await handle.result(timeout=30))


@here.job(result="1h")
async def task(job: trioq.Job, n: int) -> Told:
    return await _ask(job, n)


@here.job(result="1h", runtime="asyncio")
async def loop(job: trioq.Job, n: int) -> Told:
    return await _ask(job, n)


@here.job(result="1h")
def thread(job: trioq.Job, n: int) -> Told:
    client = job.sync_client
    return id(client), *client.call(child.call(n), timeout=30)


@app.job(result="1h", isolation="process")
async def task_apart(job: trioq.Job, n: int) -> Told:
    return await _ask(job, n)


@app.job(result="1h", isolation="process", runtime="asyncio")
async def loop_apart(job: trioq.Job, n: int) -> Told:
    return await _ask(job, n)


@app.job(result="1h", isolation="process")
def thread_apart(job: trioq.Job, n: int) -> Told:
    return thread(job, n)


# -- where there is none -------------------------------------------------------------------


@here.job
async def blocks(job: trioq.Job) -> None:
    _ = job.sync_client


@here.job(runtime="asyncio")
async def blocks_asyncio(job: trioq.Job) -> None:
    _ = job.sync_client


@here.job
def awaits(job: trioq.Job) -> None:
    _ = job.client


@here.job
def in_trio_of_its_own(job: trioq.Job) -> None:
    async def main() -> None:
        _ = job.client

    trio.run(main)


@here.job
def in_asyncio_of_its_own(job: trioq.Job) -> None:
    async def main() -> None:
        _ = job.client

    asyncio.run(main())


# -- who closes it --------------------------------------------------------------------------


async def _enter(job: trioq.Job) -> None:
    async with job.client:  # type: ignore[attr-defined]
        pass


@here.job
async def enters(job: trioq.Job) -> None:
    await _enter(job)


@here.job(runtime="asyncio")
async def enters_asyncio(job: trioq.Job) -> None:
    await _enter(job)


@here.job
async def closes(job: trioq.Job) -> None:
    await job.client.close()  # type: ignore[attr-defined]


@here.job
def enters_thread(job: trioq.Job) -> None:
    with job.sync_client:
        pass


@here.job
def closes_thread(job: trioq.Job) -> None:
    job.sync_client.close()


@here.job(result="1h")
def in_a_thread_of_its_own(job: trioq.Job) -> str:
    """What a thread is told that knows nothing of the job."""
    told: list[str] = []

    def ask() -> None:
        try:
            _ = job.sync_client
        except LookupError as error:
            told.append(str(error))

    own = threading.Thread(target=ask)
    own.start()
    own.join()
    return told[0]


app.include(here)
