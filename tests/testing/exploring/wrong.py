"""Handlers that are wrong at one place each, and the fakes that they work on.

The line that is to be found has a comment: ``# crash``, say.
"""

from __future__ import annotations

from typing import Any

import trio

from trioq import App, Job

app: App[None] = App()


class Psp:
    """Charges at once: it never suspends who awaits it."""

    def __init__(self) -> None:
        self.charged: list[int] = []

    async def charge(self, order: int) -> None:
        self.charged.append(order)


class Table:
    """A price, which changes, and what is written of it."""

    def __init__(self) -> None:
        self.price = self.written = 0

    async def read(self) -> int:
        await trio.sleep(0.1)
        self.price += 1
        return self.price

    async def write(self, price: int) -> None:
        await trio.sleep(0.1)
        self.written = price


class Shop:
    """All that there is in a world."""

    def __init__(self) -> None:
        self.psp, self.table = Psp(), Table()
        self.locked = False
        self.numbers = 0
        self.committed: list[int] = []
        self.mails: list[int] = []
        self.children: list[int] = []

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    async def commit(self, number: int) -> None:
        await trio.sleep(0.1)
        self.committed.append(number)

    async def send_mail(self, number: int) -> None:
        self.mails.append(number)


shop = Shop()


def world() -> Shop:
    global shop  # noqa: PLW0603
    shop = Shop()
    return shop


# -- charges twice ---------------------------------------------------------------------------------


@app.job
async def charge(order: int) -> None:
    await shop.psp.charge(order)  # crash
    await trio.sleep(1)


def charged_once(shop: Shop) -> None:
    assert shop.psp.charged == [7]


# -- loses an update: who reads and writes is overtaken in between ---------------------------------


@app.job
async def copy(order: int) -> None:
    price = await shop.table.read()  # freeze
    await shop.table.write(price)


def copied(shop: Shop) -> None:
    assert shop.table.written == shop.table.price


# -- leaves a lock behind when it is cancelled -----------------------------------------------------


@app.job
async def lock(order: int) -> None:
    if shop.locked:
        return  # somebody else works
    shop.locked = True
    await trio.sleep(1)  # cancel
    shop.locked = False


def unlocked(shop: Shop) -> None:
    assert not shop.locked


# -- sends mail before it has committed ------------------------------------------------------------


@app.job
async def confirm(order: int) -> None:
    number = shop.number()
    await shop.send_mail(number)  # crash
    await shop.commit(number)


def mail_tells_the_truth(shop: Shop) -> None:
    assert set(shop.mails) <= set(shop.committed)


# -- enqueues a child without an id ----------------------------------------------------------------


@app.job
async def parent(job: Job, order: int) -> None:
    await job.client.enqueue(child.call(order=order))  # crash
    await trio.sleep(1)


@app.job
async def child(order: int) -> None:
    shop.children.append(order)


def one_child(shop: Shop) -> None:
    assert shop.children == [7]


WRONG: list[tuple[Any, Any, str]] = [
    (charge, charged_once, "crash"),
    (copy, copied, "freeze"),
    (lock, unlocked, "cancel"),
    (confirm, mail_tells_the_truth, "crash"),
    (parent, one_child, "crash"),
]
