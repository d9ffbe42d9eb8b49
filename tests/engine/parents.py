"""Handlers of each kind that wait for another job, which isn't due for an hour."""

from __future__ import annotations

import trioq

app = trioq.App()


@app.job
async def child() -> None: ...


@app.job
async def task(url: str, queue: str) -> None:
    async with trioq.connect(url=url, namespace="t") as client:
        await (await client.enqueue(child.call(), queue=queue, delay=3600)).wait()


@app.job
async def several(url: str, queue: str) -> None:
    async with trioq.connect(url=url, namespace="t") as client:
        handles = [await client.enqueue(child.call(), queue=queue, delay=3600) for _ in range(3)]
        async for _ in trioq.as_done(handles):
            pass


@app.job
def thread(url: str, queue: str) -> None:
    with trioq.connect_sync(url=url, namespace="t") as client:
        client.enqueue(child.call(), queue=queue, delay=3600).wait()


@app.job
def several_in_thread(url: str, queue: str) -> None:
    with trioq.connect_sync(url=url, namespace="t") as client:
        handles = [client.enqueue(child.call(), queue=queue, delay=3600) for _ in range(3)]
        list(trioq.as_done(handles))


@app.job(isolation="process")
def apart(url: str, queue: str) -> None:
    thread(url, queue)
