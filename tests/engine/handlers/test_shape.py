"""What can be a handler works in every shape; what can't is refused when it is registered."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import trioq
from tests.engine.handlers.attempts import job_with, outcome_of
from trioq.core.outcome import Succeeded
from trioq.engine.handlers import Function


def plain(job: trioq.Job, n: int) -> int:
    return n + len(job.uid)


async def plain_async(job: trioq.Job, n: int) -> int:
    return n + len(job.uid)


class Holder:
    n: str = "a hint that isn't of a parameter"

    def method(self, job: trioq.Job, n: int) -> int:
        return n + len(job.uid)

    @staticmethod
    def static(job: trioq.Job, n: int) -> int:
        return n + len(job.uid)

    @classmethod
    async def of_class(cls, job: trioq.Job, n: int) -> int:
        return n + len(job.uid)

    def of_a_class(cls, n: int) -> int:  # noqa: N805  # somebody forgot the decorator
        return n

    def __call__(self, job: trioq.Job, n: int) -> int:
        return n + len(job.uid)


class AsyncCallable:
    async def __call__(self, job: trioq.Job, n: int) -> int:
        return n + len(job.uid)


def with_more(more: str, job: trioq.Job, n: int) -> int:
    return n + len(job.uid)


def later(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    "function",
    [
        plain,
        plain_async,
        Holder().method,
        Holder.static,
        Holder.__dict__["static"],
        Holder.of_class,
        Holder(),
        AsyncCallable(),
        functools.partial(plain),
        functools.partial(plain_async),
        functools.partial(functools.partial(with_more, "x")),
        functools.partial(Holder().method),
        later(plain),
        later(plain_async),
        later(later(Holder.of_class)),
    ],
)
@pytest.mark.trio
async def test_whatever_can_be_called_is_a_handler_with_its_annotations(function: Any) -> None:
    """Its first parameter is the job, as it's annotated so."""
    app = trioq.App()
    app.job("it")(function)

    assert await outcome_of(app.handlers["it"].function, job_with(n=5)) == Succeeded(37)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plain, False),
        (plain_async, True),
        (Holder(), False),
        (Holder().of_class, True),
        (AsyncCallable(), True),
        (functools.partial(AsyncCallable()), True),
        (later(plain_async), False),
    ],
)
def test_what_is_async_however_it_is_wrapped_takes_no_thread(function: Any, expected: bool) -> None:
    assert Function("it", function).is_async is expected


def test_one_function_may_have_two_names() -> None:
    app = trioq.App()

    @app.job("new")
    @app.job("old")
    async def handler(n: int) -> int:
        return n

    assert app.handlers["new"].function is app.handlers["old"].function
    assert app.handlers["new"].is_async


def generator(n: int) -> Iterator[int]:
    yield n


async def async_generator(n: int) -> AsyncIterator[int]:
    yield n


class GeneratorCallable:
    def __call__(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (generator, "a handler returns, it doesn't yield"),
        (async_generator, "a handler returns, it doesn't yield"),
        (functools.partial(generator, 1), "a handler returns, it doesn't yield"),
        (GeneratorCallable(), "a handler returns, it doesn't yield"),
        (contextlib.contextmanager(generator), "a context manager, which nobody enters"),
        (contextlib.asynccontextmanager(async_generator), "a context manager, which nobody enters"),
        (Holder, "a class makes an object and runs nothing"),
        (int, "a class makes an object and runs nothing"),
        (Holder.method, "Holder.method is a method, and there is no object to call it on"),
        (Holder.of_a_class, "Holder.of_a_class is a method, and there is no object to call it on"),
        (print, "a payload has names, so no field can fill"),
        (dict.get, "a payload has names, so no field can fill"),
        (max, "its parameters can't be known"),
        (5, "it: a int, which can't be called: register a function"),
        (classmethod(max), "it: a classmethod, which can't be called"),
        (property(max), "it: a property, which can't be called"),
    ],
)
def test_what_could_never_run_is_refused_when_it_is_registered(function: Any, told: str) -> None:
    app = trioq.App()

    with pytest.raises(TypeError) as caught:
        app.job("it")(function)

    assert told in str(caught.value)
    assert not app.handlers


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda: None, "a lambda has no name of its own"),
        (functools.partial(plain), "a partial has no name of its own"),
        (Holder(), "a Holder has no name of its own"),
        (Holder.__dict__["of_class"], "got a classmethod"),
        (5, "got a int"),
    ],
)
def test_what_has_no_name_needs_one(function: Any, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        trioq.App().job(function)

    assert told in str(caught.value)
