"""A function of an app that is told of failures."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

import attrs
import trio

from trioq.core.current import running_job
from trioq.core.failure import Failure
from trioq.core.job import Job
from trioq.core.tempo import Tempo
from trioq.core.valid import shown
from trioq.engine.handlers.asyncio_loop import AsyncioLoop
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.isolated import Isolated
from trioq.engine.handlers.returned import finished
from trioq.engine.handlers.shape import is_async, underlying
from trioq.engine.handlers.threads import run_in_thread

RIGHT = "write a function that takes the trioq.Failure, async def or def"


@attrs.frozen(eq=False)
class FailureHook:
    """One.

    Raises:
      TypeError: It can't be one: with what it is, and what would be right.
    """

    function: Callable[[Failure], Any]
    where: str = attrs.field(init=False)
    """Its name, for messages."""
    is_async: bool = attrs.field(init=False)

    @where.default
    def _name(self) -> str:
        inner = underlying(self.function) if callable(self.function) else self.function
        return getattr(inner, "__qualname__", "") or shown(inner)

    @is_async.default
    def _look(self) -> bool:
        _check(self.function, self.where)
        return is_async(self.function)

    def told(self, failure: Failure, loop: AsyncioLoop | None) -> ToldOf:
        """This one, to be run for a failure.

        Args:
          loop: That of asyncio, if its app's functions are awaited there.
        """
        return ToldOf(self, failure, loop)


def _check(function: Any, where: str) -> None:
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"on_failure: {where} is no function: {RIGHT}")
    inner = underlying(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(f"on_failure: {where} yields: {RIGHT}, or see @app.middleware")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise TypeError(
            f"on_failure: {where} has to take the failure, and no more: {RIGHT}"
        ) from None


@attrs.frozen(eq=False)
class ToldOf:
    """A hook and a failure, as what can be run."""

    hook: FailureHook
    failure: Failure
    loop: AsyncioLoop | None

    def run(self, job: Job, threads: trio.CapacityLimiter, grace: Grace) -> Awaitable[Any]:
        """Tell it, in a context of its own in which the job is the current one."""
        context, name = copy_context(), f"on_failure {self.hook.where}"
        context.run(running_job.set, job)
        if not self.hook.is_async:
            call = functools.partial(context.run, self.hook.function, self.failure)
            return run_in_thread(call, name, threads, Tempo(), grace)
        if self.loop is not None:
            return self.loop.run(self._call, context, name, threads, grace)
        return Isolated(self._call(), context)

    async def _call(self) -> Any:
        return await finished(await self.hook.function(self.failure))
