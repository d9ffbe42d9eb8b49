"""What is left of a handler that was started by hand, as something that can be run.

It goes on where every handler is run: in :func:`~trioq.engine.handlers.invoke.go_on`. So whatever
it does from here on means the same as if it had been started there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any

import attrs
import trio

from trioq.engine.handlers.describe import Raised, without_caller
from trioq.engine.handlers.isolated import Isolated
from trioq.engine.handlers.returned import PLAIN, finished
from trioq.engine.handlers.threads import ThreadLeftBehind


@attrs.frozen(eq=False)
class Suspended:
    """It waits, and goes on."""

    coroutine: Coroutine[Any, Any, Any]
    context: Context
    wanted: Any
    """What it asked its task's runner for."""

    async def run(self) -> Any:
        returned = await Isolated(self.coroutine, self.context, self.wanted)
        if id(type(returned)) in PLAIN:
            return returned
        return await Isolated(finished(returned), self.context)


@attrs.frozen(eq=False)
class Returned:
    """It returned, and there is more to be looked at: what it returned, or how it left things."""

    result: Any
    context: Context

    async def run(self) -> Any:
        return await Isolated(finished(self.result), self.context)


@attrs.frozen(eq=False)
class Broken:
    """It raised, or what was to be its arguments did."""

    error: BaseException = attrs.field(converter=without_caller)
    """Without the frame of who started it, which would keep all that it knew alive."""

    def run(
        self, job: object = None, threads: object = None, kill_after_s: float = 0.0
    ) -> Awaitable[Any]:
        """It also stands for a handler that couldn't be had."""
        raise self.error


@attrs.frozen(eq=False)
class InThread:
    """A thread runs it."""

    over: trio.Event
    """Set when it has ended."""
    leave: Callable[[], bool]
    """Leaves the thread alone with it, and tells it so; False if it has ended by now."""
    rest: Callable[[], Returned | Broken | None]
    """Told when it has ended: how."""

    async def run(self) -> Any:
        try:
            await self.over.wait()
        except trio.Cancelled:
            if self.leave():
                raise ThreadLeftBehind from None
            raise
        rest = self.rest()
        assert rest is not None
        if isinstance(rest, Broken):
            raise Raised(rest.error)
        return await rest.run()


Rest = Suspended | Returned | Broken | InThread
