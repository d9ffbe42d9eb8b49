"""What can be a handler, told when it is registered."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import FunctionType, MethodType
from typing import Any


@contextlib.contextmanager
def manager() -> Iterator[None]:
    """One of its kind, to know the others by."""
    yield


@contextlib.asynccontextmanager
async def async_manager() -> AsyncIterator[None]:
    """Likewise."""
    yield


#: All functions that the library's decorators make share these.
_MANAGERS = (manager.__code__, async_manager.__code__)


def underlying(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose body it is: of a partial, a method, an object that can be called."""
    inner: Any = function
    while True:
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif isinstance(inner, staticmethod | MethodType):
            inner = inner.__func__
        elif inspect.isroutine(inner) or isinstance(inner, type) or hasattr(inner, "__wrapped__"):
            return inner  # type: ignore[no-any-return]
        else:
            inner = type(inner).__call__


def is_manager(inner: object) -> bool:
    """Whether it was made by a decorator of the library that makes context managers."""
    return getattr(inner, "__code__", None) in _MANAGERS


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine, as far as can be told without calling it."""
    return inspect.iscoroutinefunction(underlying(function))


def check(function: Callable[..., Any], name: str) -> None:
    """Refuse what could never run as a handler.

    Raises:
      TypeError: With what it is, and what would be right.
    """
    if isinstance(function, type):
        raise TypeError(f"{name}: a class makes an object and runs nothing: register a function")
    given: Any = function
    if not callable(given):
        kind = type(given).__name__
        raise TypeError(f"{name}: a {kind}, which can't be called: register a function")
    inner = underlying(function)
    if is_manager(inner):
        raise TypeError(f"{name}: a context manager, which nobody enters: register a function")
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(f"{name}: a handler returns, it doesn't yield")
    if isinstance(function, FunctionType) and _lacks_its_object(function):
        raise TypeError(
            f"{name}: {function.__qualname__} is a method, and there is no object to call it on:"
            " register a function, a static method or a method of an object"
        )


def _lacks_its_object(function: FunctionType) -> bool:
    """Whether it was taken out of the body of a class."""
    outer = function.__qualname__.rpartition(".")[0]
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return bool(outer) and not outer.endswith("<locals>") and names[:1] in (("self",), ("cls",))
