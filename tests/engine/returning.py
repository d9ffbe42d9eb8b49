"""Handlers of each kind that return something, or raise what whoever waits knows."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Awaitable
from typing import Any

import attrs
import trio

import trioq


@dataclasses.dataclass
class Page:
    number: int
    on: datetime.date


@attrs.frozen
class Total:
    pages: list[Page]
    note: str | None = None


class NotFound(Exception):
    """Made from what its text isn't."""

    def __init__(self, path: str, code: int = 404) -> None:
        super().__init__(path, code)
        self.path, self.code = path, code

    def __str__(self) -> str:
        return f"{self.path}: {self.code}"


class NoUse(trioq.GiveUp):
    """Dead at once, and known."""


class Unknown(Exception):
    """Nobody has registered it."""


#: Twice as long in JSON, and again in a runner's answer.
MUCH = '"' * 1_000_000

PAGES = [Page(n, datetime.date(2026, 11, n + 1)) for n in range(3)]
TOTAL = Total(PAGES)
#: Those that run where the engine is, and all. Who serves all starts a runner.
here, app = trioq.App(), trioq.App()


async def _returned(what: str) -> Any:
    if what == "nothing, and says so":
        job = trioq.current_job()
        job.log("ä\nline\n\\")
        job.progress(0.5, "half")
        job.progress(1.0, '"all" of it ä', data=[3])
        return None
    return {
        "nothing": None, "a number": 7, "a text": "ä\n\"", "an object": {"a": [1, {"b": None}]},
        "a list": [1, "x"], "a page": PAGES[0], "a total": TOTAL, "too much": "x" * 100_000,
        "much": MUCH,
        "what JSON has not": object(), "a set": {1},
    }[what]  # fmt: skip


def _now(what: str) -> Any:
    """The same, where nobody awaits."""
    try:
        _returned(what).send(None)
    except StopIteration as stop:
        return stop.value


ONCE = trioq.Retry(max_attempts=1)


@here.job(result="1h")
async def quick(what: str) -> Any:
    return await _returned(what)


@here.job(result="1h")
async def waiting(what: str) -> Any:
    await trio.sleep(0.001)
    return await _returned(what)


@here.job(result="1h")
def in_thread(what: str) -> Any:
    return _now(what)


@here.job(result="1h")
def gives_coroutine(what: str) -> Awaitable[Any]:
    return _returned(what)


@app.job(result="1h", isolation="process")
async def apart(what: str) -> Any:
    return await _returned(what)


@app.job(result="1h", isolation="process")
def thread_apart(what: str) -> Any:
    return _now(what)


@here.job
async def nobody_asks(what: str) -> Any:
    return await _returned(what)


@here.job(result="1h")
async def page(n: int) -> Page:
    return PAGES[n]


@here.job(result="1h")
def total() -> Total:
    return TOTAL


def _raise(what: str) -> None:
    raise {
        "known": NotFound("/a", 410), "no use": NoUse("never"), "unknown": Unknown("who?"),
        "unfit": NotFound(object()), "long": NotFound("x" * 5000),  # type: ignore[arg-type]
        "grouped": ExceptionGroup("one", [NotFound("/b")]),
    }[what]  # fmt: skip


KNOWN = [NotFound, NoUse]


@here.job(retry=ONCE, raises=KNOWN)
async def fails(what: str) -> None:
    _raise(what)


@here.job(retry=ONCE, raises=KNOWN)
async def waits_and_fails(what: str) -> None:
    await trio.sleep(0.001)
    _raise(what)


@here.job(retry=ONCE, raises=KNOWN)
def fails_in_thread(what: str) -> None:
    _raise(what)


@app.job(retry=ONCE, raises=KNOWN, isolation="process")
def fails_apart(what: str) -> None:
    _raise(what)


app.include(here)
