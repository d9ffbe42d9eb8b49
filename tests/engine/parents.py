"""Handlers of each kind that wait for another job, which isn't due for an hour."""

from __future__ import annotations

import trioq

#: Those that run where the engine is, and all. Who serves all starts a runner.
here, app = trioq.App(), trioq.App()


@here.job
async def child() -> None: ...


@here.job
async def task(url: str, queue: str) -> None:
    async with trioq.connect(url=url, namespace="t") as client:
        await (await client.enqueue(child.call(), queue=queue, delay=3600)).wait()


@here.job
async def several(url: str, queue: str) -> None:
    async with trioq.connect(url=url, namespace="t") as client:
        handles = [await client.enqueue(child.call(), queue=queue, delay=3600) for _ in range(3)]
        async for _ in trioq.as_done(handles):
            pass


@here.job
def thread(url: str, queue: str) -> None:
    with trioq.connect_sync(url=url, namespace="t") as client:
        client.enqueue(child.call(), queue=queue, delay=3600).wait()


@here.job
def several_in_thread(url: str, queue: str) -> None:
    with trioq.connect_sync(url=url, namespace="t") as client:
        handles = [client.enqueue(child.call(), queue=queue, delay=3600) for _ in range(3)]
        list(trioq.as_done(handles))


@app.job(isolation="process")
def apart(url: str, queue: str) -> None:
    thread(url, queue)


app.include(here)
