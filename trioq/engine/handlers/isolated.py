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

import trio

from trioq.engine.handlers.describe import module_of
from trioq.engine.handlers.returned import BadHandler

R = TypeVar("R")

FOREIGN = (
    "it awaits something of asyncio, or of another library, which doesn't run here:"
    ' @app.job(runtime="asyncio") runs the handler in a loop of asyncio, App(runtime="asyncio") all'
    " of an app; or use trio's (trio.sleep, …) or anyio's"
)

_NOTHING = object()

#: The classes of what trio's own functions ask their task's runner for, by identity: a class's
#: own hash may raise.
_TRIOS: set[int] = set()


class Isolated(Generic[R]):
    """``await Isolated(coroutine, context)`` is ``await coroutine``, with this context.

    The methods are those by which Python drives an iterator that is awaited; the properties
    let trio's tools for looking at a waiting task see through to the handler.
    """

    __slots__ = ("_context", "_coroutine", "_wanted")

    def __init__(
        self, coroutine: Coroutine[Any, Any, R], context: Context, wanted: Any = _NOTHING
    ) -> None:
        self._coroutine = coroutine
        self._context = context
        self._wanted = wanted
        """What it waits for already, if it was started before it is awaited."""

    def __await__(self) -> Generator[Any, Any, R]:
        return self  # type: ignore[return-value]  # it has all that is used of one

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        if self._wanted is not _NOTHING:
            wanted, self._wanted = self._wanted, _NOTHING
            return _if_still(self._checked(wanted))
        wanted = self._context.run(self._coroutine.send, value)
        return wanted if id(type(wanted)) in _TRIOS else self._checked(wanted)

    def throw(self, *error: Any) -> Any:
        self._wanted = _NOTHING
        return self._checked(self._context.run(self._coroutine.throw, *error))

    def _checked(self, wanted: Any) -> Any:
        if id(type(wanted)) not in _TRIOS and not _is_trios(wanted):
            wanted = self._context.run(self._coroutine.throw, BadHandler(FOREIGN))
            if not _is_trios(wanted):
                raise BadHandler(FOREIGN)
        return wanted

    def close(self) -> None:
        self._context.run(self._coroutine.close)

    @property
    def cr_frame(self) -> FrameType | None:
        return self._coroutine.cr_frame  # type: ignore[attr-defined,no-any-return]

    @property
    def cr_await(self) -> Any:
        return self._coroutine.cr_await  # type: ignore[attr-defined]


def _if_still(wanted: Any) -> Any:
    """What a task asked for a while ago, as it is to be told to trio now.

    Somebody who was called since then, a listener, may have woken the task already. Then nothing
    is left to be aborted, and who tried would break trio.
    """
    task = trio.lowlevel.current_task()
    # trio has no public name for it.
    if type(wanted) is type or getattr(task, "_next_send_fn", None) is None:
        return wanted
    return type(wanted)(lambda _: trio.lowlevel.Abort.FAILED)


def _is_trios(wanted: object) -> bool:
    """Whether trio knows what to do with it. What it doesn't know it shows in an error, and
    what can't be shown would end the engine."""
    if type(wanted) is type:
        return module_of(wanted).startswith("trio.")
    ours = module_of(type(wanted)).startswith("trio.")
    if ours:
        _TRIOS.add(id(type(wanted)))
    return ours
