"""Handlers that are right, whatever happens at whichever step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from trioq import App, Job

app: App[None] = App()


class Shop:
    """All that there is in a world."""

    def __init__(self) -> None:
        self.charged: dict[str, int] = {}
        self.rows: dict[int, str] = {}
        self.holder = ""
        self.total = 0
        self.children: set[int] = set()
        self.lock = trio.Lock()

    async def charge(self, order: int, *, key: str) -> None:
        """A payment provider's: the same key charges once."""
        await trio.sleep(0.1)
        self.charged.setdefault(key, order)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[dict[str, Any]]:
        """All that is put into it is there, or nothing; one at a time."""
        async with self.lock:
            changes: dict[str, Any] = {}
            yield changes
            for name, value in changes.items():
                setattr(self, name, value)


shop = Shop()


def world() -> Shop:
    global shop  # noqa: PLW0603
    shop = Shop()
    return shop


@app.job
async def charge(job: Job, order: int) -> None:
    await shop.charge(order, key=job.uid)
    await trio.sleep(1)


def charged_once(shop: Shop) -> None:
    assert list(shop.charged.values()) == [7]


@app.job
async def upsert(order: int) -> None:
    await trio.sleep(0.1)
    shop.rows[order] = "paid"
    await trio.sleep(0.1)


def one_row(shop: Shop) -> None:
    assert shop.rows == {7: "paid"}


@app.job
async def parent(job: Job, order: int) -> None:
    await job.client.enqueue(child.call(order=order), id=f"child-{order}", id_retention="1h")
    await trio.sleep(1)


@app.job
async def child(order: int) -> None:
    shop.children.add(order)


def its_child(shop: Shop) -> None:
    assert shop.children == {7}


@app.job
async def count(job: Job, order: int) -> None:
    async with shop.transaction() as changes:
        changes["holder"] = job.token
    await trio.sleep(1)
    async with shop.transaction() as changes:
        if shop.holder == job.token and shop.total == 0:
            await trio.sleep(0.1)
            changes["total"] = order


def counted_once(shop: Shop) -> None:
    assert shop.total == 7
    assert not shop.lock.locked()


@app.job
async def pure(order: int) -> int:
    await trio.sleep(order)
    return order + 1


def anything(shop: Shop) -> None:
    pass


RIGHT: list[tuple[Any, Any]] = [
    (charge, charged_once),
    (upsert, one_row),
    (parent, its_child),
    (count, counted_once),
    (pure, anything),
]
