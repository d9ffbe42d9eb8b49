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
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.isolated import Isolated
from trioq.engine.handlers.returned import finished
from trioq.engine.handlers.threads import ThreadLeftBehind, end_or_given_up


@attrs.define(eq=False)
class Suspended:
    """It waits, and goes on."""

    coroutine: Coroutine[Any, Any, Any]
    context: Context
    wanted: Any
    """What it asked its task's runner for."""

    def returned(self) -> Awaitable[Any]:
        """What its function returns, of which nothing is looked at."""
        return Isolated(self.coroutine, self.context, self.wanted)


@attrs.define(eq=False)
class Returned:
    """It returned, and there is more to be looked at: what it returned, or how it left things."""

    result: Any
    context: Context

    async def run(self) -> Any:
        return await Isolated(finished(self.result), self.context)


@attrs.define(eq=False)
class Broken:
    """It raised, or what was to be its arguments did."""

    error: BaseException = attrs.field(converter=without_caller)
    """Without the frame of who started it, which would keep all that it knew alive."""

    def run(
        self, job: object = None, threads: object = None, grace: object = None
    ) -> Awaitable[Any]:
        """It also stands for a handler that couldn't be had."""
        raise self.error


@attrs.define(eq=False)
class InThread:
    """A thread runs it."""

    over: trio.Event
    """Set when it has ended, or nobody waits for it any more."""
    cancel: Callable[[str | None], trio.Event]
    """Tells it that it is cancelled, and why; what is returned is set when it has ended."""
    leave: Callable[[], bool]
    """Leaves the thread alone with it; False if it has ended by now."""
    rest: Callable[[], Returned | Broken | None]
    """Told when it has ended: how."""

    async def run(self, grace: Grace) -> Any:
        try:
            await self.over.wait()
        except trio.Cancelled as cancelled:
            ended = self.cancel(cancelled.reason)
            if grace.given_up is not None:
                await end_or_given_up(ended, grace.given_up)
            if self.leave():
                raise ThreadLeftBehind(cancelled) from None
            if grace.given_up is None:
                raise
        rest = self.rest()
        assert rest is not None
        if isinstance(rest, Broken):
            raise Raised(rest.error)
        return await rest.run()


Rest = Suspended | Returned | Broken | InThread
