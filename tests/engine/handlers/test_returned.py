"""What a handler returns is a result, or it's run: nothing is told as done of which nothing ran."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
import trio
import trio.lowlevel

import trioq
from tests.engine.handlers.attempts import BOTH, as_async, as_sync, failure_of, outcome_of
from trioq.core.outcome import Succeeded
from trioq.engine.handlers.returned import is_finished

colour: ContextVar[str] = ContextVar("colour", default="none")
app = trioq.App()


@app.job
def registered() -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (generator, "a generator"),
        (lambda: (n for n in [1]), "a generator"),
        (async_generator, "an async generator"),
        (contextlib.contextmanager(generator), "a context manager"),
        (contextlib.asynccontextmanager(async_generator), "a context manager"),
        (lambda: map(print, [1]), "a lazy iterator"),
        (lambda: filter(print, [1]), "a lazy iterator"),
        (lambda: itertools.starmap(print, [(1,)]), "a lazy iterator"),
        (lambda: trioq.GiveUp("no use"), "a wish for its job"),
        (lambda: trioq.RetryLater(60), "a wish for its job"),
        (lambda: generator, "a function"),
        (lambda: functools.partial(print, 1), "a function"),
        (lambda: [].append, "a function"),
        (lambda: trio.Event().set, "a function"),
        (concurrent.futures.Future, "a Future"),
        (registered.call, "a call for later"),
    ],
)
@BOTH
@pytest.mark.trio
async def test_what_nobody_runs_is_a_permanent_error_that_says_so(
    kind: Callable[[Any], Any], make: Any, what: str
) -> None:
    failed = await failure_of(kind(make))

    assert failed.error.type == "BadHandler"
    assert failed.error.message.startswith(f"it returned {what}, which nobody runs: ")
    assert failed.permanent == "bad_handler"


@pytest.mark.parametrize(
    "result", [None, 0, "x", [1], (generator,), {"n": 1}, object(), {1}, iter([1]), Exception, time]
)
@BOTH
@pytest.mark.trio
async def test_a_result_is_a_result(kind: Any, result: object) -> None:
    assert await outcome_of(kind(lambda: result)) == Succeeded(result)


@pytest.mark.parametrize(
    ("returned", "is_it"),
    [
        (None, True), ([1], True), ((generator,), True), (object(), True), (Exception(), True),
        (generator(), False), (map(print, []), False), (generator, False), (trioq.GiveUp(), False),
        (registered.call(), False),
    ],
)  # fmt: skip
def test_what_surely_is_a_result_is_known_without_awaiting(returned: Any, is_it: bool) -> None:
    assert is_finished(returned) is is_it


@pytest.mark.filterwarnings("ignore:coroutine 'slow' was never awaited")
def test_what_is_or_has_coroutines_is_none() -> None:
    assert not any(map(is_finished, (slow(), [slow()], (slow(),), Awaitable())))


class Unwilling(type):
    """Its classes don't like to be looked at."""

    def __getattribute__(cls, name: str) -> Any:
        raise SystemExit("no")

    def __hash__(cls) -> int:
        raise SystemExit("no")

    __eq__ = object.__eq__


def test_a_class_that_does_not_like_to_be_asked_makes_results() -> None:
    class Kind(metaclass=Unwilling):
        pass

    assert is_finished(object.__new__(Kind))


async def slow(result: Any = "done") -> Any:
    await trio.lowlevel.checkpoint()
    return result


async def for_ever() -> None:
    await trio.sleep_forever()


class Awaitable:
    def __await__(self) -> Any:
        return slow().__await__()


@pytest.mark.parametrize("make", [slow, Awaitable, lambda: slow(slow(Awaitable()))])
@BOTH
@pytest.mark.trio
async def test_what_can_be_awaited_is_awaited(kind: Any, make: Any) -> None:
    assert await outcome_of(kind(make)) == Succeeded("done")


@pytest.mark.parametrize("gather", [list, tuple])
@BOTH
@pytest.mark.filterwarnings("ignore:coroutine 'slow' was never awaited")
@pytest.mark.trio
async def test_a_handler_that_forgot_to_await_what_it_began_is_not_done(
    kind: Any, gather: Any
) -> None:
    failed = await failure_of(kind(lambda: gather(slow() for _ in range(3))))

    assert failed.error.message == "it returned coroutines, which nobody runs: await each of them"
    assert failed.permanent == "bad_handler"


@pytest.mark.trio
async def test_a_sync_wrapper_around_an_async_function_just_works() -> None:
    """The wrapper in a thread, as it may block, and the function in the loop; one context."""

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            colour.set("red")
            return function(*args, **kwargs)

        return wrapper

    @wrapped
    async def handler() -> tuple[str, str]:
        await trio.lowlevel.checkpoint()
        return colour.get(), trioq.current_job().uid

    assert await outcome_of(handler) == Succeeded(("red", "0" * 32))
    assert colour.get() == "none"


@pytest.mark.trio
async def test_a_wrapper_that_runs_the_coroutine_itself_has_a_thread_for_it() -> None:
    async def of_asyncio() -> str:
        await asyncio.sleep(0)
        return "done"

    @functools.wraps(of_asyncio)
    def handler() -> str:
        return asyncio.run(of_asyncio())

    assert await outcome_of(handler) == Succeeded("done")


@pytest.mark.trio
async def test_what_is_awaited_has_the_runs_timeout(autojump_clock: object) -> None:
    def handler() -> Any:
        return for_ever()

    failed = await failure_of(as_async(handler), timeout_s=5)

    assert (failed.error.type, failed.error.message) == ("timeout", "took longer than 5 s")


@pytest.mark.parametrize("seconds", [0, 0.01])
@pytest.mark.trio
async def test_a_handler_of_asyncio_is_told_at_once_what_to_do(seconds: float) -> None:
    async def handler() -> None:
        await asyncio.sleep(seconds)

    for function in (handler, as_sync(handler)):
        failed = await failure_of(function)

        assert failed.permanent == "bad_handler"
        assert "use trio's (trio.sleep, …)" in failed.error.message
        assert "in handler\n" in failed.error.traceback
