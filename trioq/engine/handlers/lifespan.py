"""The lifespan of an app: what can be one, told when the app is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Literal

import attrs

from trioq.core.valid import shown
from trioq.engine.handlers.shape import async_manager

Runtime = Literal["trio", "asyncio"]
"""Where ``async def`` functions are awaited."""

RIGHT = (
    "expected a function that takes the app and gives an async context manager:"
    " @asynccontextmanager, async def, one yield"
)


@attrs.frozen(eq=False)
class Lifespan:
    """An app's."""

    where: str
    """The function's name, for messages."""
    open: Callable[[], AbstractAsyncContextManager[Any]] = attrs.field(repr=False)
    runtime: Runtime = "trio"
    """In which loop it is entered."""

    @classmethod
    def of(cls, function: Any, app: object, runtime: Runtime) -> Lifespan:
        """That of an app.

        Raises:
          TypeError: It can't be one: what it is, and what would be right.
        """
        if (is_wrong := _is_wrong(function)) is not None:
            raise TypeError(f"App: lifespan is {is_wrong}: {RIGHT}")
        made = asynccontextmanager(function) if inspect.isasyncgenfunction(function) else function
        inner = inspect.unwrap(function)
        name = getattr(inner, "__qualname__", "") or type(inner).__qualname__
        return cls(f"{inner.__module__}.{name}", partial(made, app), runtime)


def _is_wrong(function: Any) -> str | None:
    """What it is that can't be one; None: it may be one."""
    if isinstance(function, type(async_manager())):
        return "a context manager that is made already"
    if not callable(function):
        return shown(function)
    if inspect.isgeneratorfunction(inspect.unwrap(function)):
        return "a plain generator, or a plain context manager"
    if inspect.iscoroutinefunction(function):
        return "a coroutine function, which yields nothing"
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        return f"a function that doesn't take the app, or more than that: {_signature(function)}"
    except ValueError:  # one that isn't known
        pass
    return None


def _signature(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    signature = inspect.signature(function)
    return f"{name}{signature.replace(return_annotation=signature.empty)}"
