"""Awaits a coroutine in a context of its own, without a task of its own.

A worker runs one handler after the other in one task. What a handler puts into context
variables (a logger's fields, say) must not be there for the next job; a nursery for each job
would do that too, at several times the cost of the rest of a small job's run. So each step
of the handler's coroutine is taken inside of the job's context. Tasks and threads that the
handler starts copy the context that is current, and so inherit from the job's.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from contextvars import Context
from types import FrameType
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Isolated(Generic[R]):
    """``await Isolated(coroutine, context)`` is ``await coroutine``, with this context.

    The methods are those by which Python drives an iterator that is awaited; the properties
    let trio's tools for looking at a waiting task see through to the handler.
    """

    __slots__ = ("_context", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, R], context: Context) -> None:
        self._coroutine = coroutine
        self._context = context

    def __await__(self) -> Generator[Any, Any, R]:
        return self  # type: ignore[return-value]  # it has all that is used of one

    def __next__(self) -> Any:
        return self._context.run(self._coroutine.send, None)

    def send(self, value: Any) -> Any:
        return self._context.run(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        return self._context.run(self._coroutine.throw, *error)

    def close(self) -> None:
        self._context.run(self._coroutine.close)

    @property
    def cr_frame(self) -> FrameType | None:
        return self._coroutine.cr_frame  # type: ignore[attr-defined,no-any-return]

    @property
    def cr_await(self) -> Any:
        return self._coroutine.cr_await  # type: ignore[attr-defined]
