"""Handlers of every shape that ends in a way of its own, for both: the engine and a runner."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import attrs
import trio
import trio.lowlevel

import trioq

app = trioq.App(isolation="process")

LONG_S = 60


@attrs.frozen
class Size:
    width: int
    height: int = 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


async def slowly() -> None:
    await trio.lowlevel.checkpoint()


class Awaitable:
    def __await__(self) -> Iterator[Any]:
        yield from slowly().__await__()
        raise KeyError("late")


# -- what is raised ----------------------------------------------------------------------------

ERRORS: dict[str, Callable[[], BaseException]] = {
    "an error": lambda: ValueError("boo"),
    "in words of its own": lambda: ValueError("zażółć gęślą jaźń ☃ \ud83d\ude00 \ud800"),
    "at length": lambda: ValueError("x" * 5000),
    "of a group": lambda: ExceptionGroup(
        "g", [ValueError("a"), ExceptionGroup("h", [OSError("b")])]
    ),
    "one of a group": lambda: ExceptionGroup("g", [KeyError("k")]),
    "without words": Unspeakable,
    "an exit": lambda: SystemExit(3),
    "a Ctrl-C": KeyboardInterrupt,
    "of a generator": GeneratorExit,
    "of asyncio": asyncio.CancelledError,
    "of memory": MemoryError,
    "a retry": lambda: trioq.RetryLater(60, "busy"),
    "a retry without a delay": trioq.RetryLater,
    "a retry that cannot be": lambda: trioq.RetryLater(math.nan),
    "a snooze": lambda: trioq.Snooze(5),
    "a snooze out of a group": lambda: ExceptionGroup("g", [trioq.Snooze(5)]),
    "a snooze that cannot be": lambda: trioq.Snooze(-1),
    "a limit that has had enough": lambda: trioq.RateLimited(5, limit="all", key={"a": 1}),
    "a limit without a name": lambda: trioq.RateLimited(5, limit=""),
    "a wish to give up": lambda: trioq.GiveUp("no such file"),
    "a wish among errors": lambda: ExceptionGroup("g", [trioq.GiveUp("done"), ValueError("boo")]),
}


def _raise(error: Callable[[], BaseException]) -> Any:
    raise error()


async def _raise_async(error: Callable[[], BaseException]) -> Any:
    await trio.lowlevel.checkpoint()
    raise error()


for what, error in ERRORS.items():
    app.job(f"def raises {what}")(functools.partial(_raise, error))
    app.job(f"async raises {what}")(functools.partial(_raise_async, error))


# -- what is returned --------------------------------------------------------------------------


def _generator() -> Iterator[int]:
    yield 1


async def _async_generator() -> AsyncIterator[int]:
    yield 1


async def _coroutine() -> dict[str, int]:
    await trio.lowlevel.checkpoint()
    return {"n": 1}


RESULTS: dict[str, Any] = {
    "nothing": lambda: None,
    "an object": lambda: {"n": [1, 2.5, "ä", None]},
    "what JSON has not": lambda: {1, 2},
    "what nobody can look at": Unspeakable,
    "a generator": _generator,
    "an async generator": _async_generator,
    "a function": lambda: _generator,
    "a wish": lambda: trioq.Snooze(1),
    "a coroutine": _coroutine,
    "what raises when it is awaited": Awaitable,
}


def _return(make: Any) -> Any:
    return make()


async def _return_async(make: Any) -> Any:
    return make()


for what, make in RESULTS.items():
    app.job(f"def returns {what}")(functools.partial(_return, make))
    app.job(f"async returns {what}")(functools.partial(_return_async, make))


# -- what comes in -----------------------------------------------------------------------------


@app.job("takes")
async def takes(job: trioq.Job, size: Size, text: str = "", numbers: list[float] = []) -> None:  # noqa: B006
    _same(job, size, text, numbers)


@app.job("def takes")
def def_takes(job: trioq.Job, size: Size, text: str = "", numbers: list[float] = []) -> None:  # noqa: B006
    _same(job, size, text, numbers)


def _same(job: trioq.Job, *what: Any) -> None:
    """What it got, where a test can see it."""
    assert trioq.current_job() is job
    raise ValueError(f"{job} {what}")


PAYLOADS: dict[str, dict[str, Any]] = {
    "fits": {"size": {"width": 3}, "text": "☃ \ud800 \0", "numbers": [1, 0.1, 1e300, -0.0]},
    "is missing": {},
    "is of another kind": {"size": {"width": "3", "depth": 1}, "text": None},
    "is too much": {"size": {"width": 3}, "colour": 1},
}


# -- how it takes being cancelled --------------------------------------------------------------


@app.job("waits")
async def waits() -> None:
    await trio.sleep(LONG_S)


@app.job("waits and raises")
async def waits_and_raises() -> None:
    try:
        await trio.sleep(LONG_S)
    finally:
        raise OSError("disk full")


@app.job("waits and wishes")
async def waits_and_wishes() -> None:
    try:
        await trio.sleep(LONG_S)
    finally:
        raise trioq.RetryLater(7, "not yet")


@app.job("waits and gives up")
async def waits_and_gives_up() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits_and_gives_up_in_there)


async def waits_and_gives_up_in_there() -> None:
    try:
        await trio.sleep(LONG_S)
    finally:
        raise trioq.GiveUp("too slow")


@app.job("waits and returns")
async def waits_and_returns() -> str:
    try:
        await trio.sleep(LONG_S)
    except trio.Cancelled:
        return "all the same"
    return "in time"


@app.job("waits and swallows")
async def waits_and_swallows() -> str:
    with trio.CancelScope(shield=True):
        await trio.sleep(0.4)
    return "late"


@app.job("knows its deadline")
async def knows_its_deadline() -> None:
    left_s = trio.current_effective_deadline() - trio.current_time()
    raise ValueError(f"about {left_s:.1f} s")


CANCELLED = (
    "waits", "waits and raises", "waits and wishes", "waits and gives up", "waits and returns",
    "waits and swallows",
)  # fmt: skip
