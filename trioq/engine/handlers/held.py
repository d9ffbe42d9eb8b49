"""A lifespan in an engine: entered before its first job, left after the last one.

A context manager is entered and left in one task: it may hold a nursery, or a task group of
asyncio. It is left like one whose body has ended, however the engine ends; an error of the engine
isn't thrown into it. What goes wrong in there while the engine runs ends the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any

import attrs
import trio

from trioq.core.shared import Shared
from trioq.engine.handlers.asyncio_loop import FOREIGN, AsyncioLoop, TaskLeftBehind
from trioq.engine.handlers.describe import describe, leaves_of
from trioq.engine.handlers.grace import NoPatience
from trioq.engine.handlers.lifespan import Lifespan
from trioq.engine.handlers.threads import NoThread
from trioq.errors import LifespanError

#: It is cancelled when it takes longer to be left; in asyncio it has so long to heed that.
LEAVE_S = 10.0
GRACE_S = 2.0

#: What Python says of a generator that doesn't yield, or not only once.
NOT_ONCE = "generator didn't yield", "generator didn't stop"

#: What libraries of asyncio end with in trio's loop begins with one of these.
NOT_IN_ASYNCIO = "no running event loop", "There is no current event loop", "trio got unexpected"


@attrs.define(eq=False)
class Held:
    """A lifespan in one engine."""

    lifespan: Lifespan
    shared: Shared = attrs.field(factory=Shared, init=False)
    """What handlers find."""
    over: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when it has ended."""
    error: LifespanError | None = attrs.field(default=None, init=False)
    """What went wrong when it was left."""
    is_told: bool = attrs.field(default=False, init=False)
    """Whether it is to end."""
    _entered: trio.Event = attrs.field(factory=trio.Event, init=False)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _within_s: float = attrs.field(default=LEAVE_S, init=False)
    _tell: Callable[[], object] = attrs.field(default=lambda: None, init=False)

    async def live(
        self, loop: AsyncioLoop, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Enter it, and hold it until it is told to end.

        ``task_status.started()`` comes when it is entered.

        Raises:
          LifespanError: It can't be entered, or has ended by itself.

        Cancellation: until it is entered. Then it ends when it is told to, in bounded time.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._hold, loop)
                    await self._entered.wait()
                    self._scope.shield = True
                    task_status.started()
            if self._scope.cancelled_caught:
                self.error = self._told(f"{self._late()}, and was cancelled")
        finally:
            self.over.set()

    @property
    def is_entered(self) -> bool:
        """Whether handlers find what it gives."""
        return self._entered.is_set()

    def end(self, within_s: float) -> None:
        """Have it left; it is cancelled when it takes longer."""
        self.is_told, self._within_s = True, within_s
        self._scope.deadline = trio.current_time() + within_s
        self._tell()

    async def _hold(self, loop: AsyncioLoop) -> None:
        try:
            if self.lifespan.runtime == "asyncio":
                call = partial(self._in_asyncio, trio.lowlevel.current_trio_token())
                context, place = copy_context(), trio.CapacityLimiter(1)
                grace = NoPatience(GRACE_S)
                await loop.run(call, context, self.lifespan.where, place, grace)
            else:
                leave = trio.Event()
                self._tell = leave.set
                await self._around(self._enter, leave.wait)
        except NoThread:  # cancelled before it was begun in asyncio
            await trio.lowlevel.checkpoint()
        except BaseException as error:
            others = [leaf for leaf in leaves_of(error) if not isinstance(leaf, trio.Cancelled)]
            if not others:
                raise
            for other in others:
                if isinstance(other, KeyboardInterrupt):
                    raise other from None
            if any(isinstance(other, asyncio.CancelledError) for other in others):
                # A program that ends cancels all tasks of its loop, and by then the engine, too.
                self._scope.shield = False
                await trio.lowlevel.checkpoint()
            cause = others[0] if len(others) == 1 else BaseExceptionGroup("several", others)
            told = self._told(self._how(cause), cause)
            if not self.is_told:
                raise told from cause
            self.error = told
        else:
            if not self.is_told and not self._scope.cancel_called:
                raise self._told("has ended, and the engine hasn't: it yields once, until then")

    async def _in_asyncio(self, token: trio.lowlevel.TrioToken) -> None:
        loop, leave = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(leave.set)

        def entered(deps: Any) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(self._enter, deps)

        self._tell = tell
        await self._around(entered, leave.wait)

    async def _around(
        self, entered: Callable[[Any], None], leave: Callable[[], Awaitable[Any]]
    ) -> None:
        async with self.lifespan.open() as deps:
            entered(deps)
            await leave()

    def _enter(self, deps: Any) -> None:
        self.shared.deps = deps
        self._entered.set()

    def _how(self, error: BaseException) -> str:
        if type(error) is TaskLeftBehind:
            return f"{self._late()}, was cancelled, and goes on in asyncio"
        if self.is_told:
            return "failed at its end"
        return "failed while the engine ran" if self._entered.is_set() else "failed at its start"

    def _late(self) -> str:
        return f"took longer than {self._within_s:g} s to end"

    def _told(self, how: str, error: BaseException | None = None) -> LifespanError:
        told = f"the lifespan {self.lifespan.where} {how}"
        if error is None or type(error) is TaskLeftBehind:
            return LifespanError(told)
        raised = describe(error)
        what = _instead(error) or ": ".join(filter(None, (raised.type, raised.message)))
        return LifespanError(f"{told}: {what}", raised.traceback)


def _instead(error: BaseException) -> str:
    """What to write instead of what belongs to the other loop; empty: it isn't that."""
    told = str(error) if isinstance(error, RuntimeError | TypeError) else ""
    if told.startswith(NOT_IN_ASYNCIO):
        return (
            "it awaits something of asyncio, which doesn't run here:"
            ' trioq.App(lifespan=…, runtime="asyncio") enters it in a loop of asyncio'
        )
    if told in NOT_ONCE:
        return f"{told}: a lifespan yields once"
    if told == FOREIGN:
        return (
            "it awaits something of trio, which doesn't run here:"
            ' trioq.App(lifespan=…, runtime="trio") enters it in the engine\'s loop'
        )
    return ""
