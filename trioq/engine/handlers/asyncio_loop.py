"""``async def`` handlers that run in asyncio: all of an engine's in one loop, in one thread.

A loop for each job would be simpler, and wrong: what asyncio's libraries keep, a pool of
connections say, belongs to the loop in which it was made. So there is one, from the first job that
needs it to the end of the engine. Where the engine is a guest in a loop of asyncio, it is that one,
and what belongs to it is the handlers', too.

A run that is cancelled has its task cancelled, with the reason, and has its grace to clean up. One
that still goes on at half of that is told again each second. At its end it is left behind, as a
thread is: it keeps its place under the limit until it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context, ContextVar
from functools import partial
from typing import Any

import attrs
import trio

from trioq.core.events import AsyncioLeft, Report
from trioq.engine.forks import end_if_copy
from trioq.engine.handlers.asyncio_thread import LoopThread
from trioq.engine.handlers.describe import Raised, text_of
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.returned import BadHandler
from trioq.engine.handlers.threads import NoThread, end_or_given_up, left_behind

#: How what trio's functions raise begins where it doesn't run, and what a task says of what they
#: yield to it.
OF_TRIO = (
    "must be called from async context",
    "'RunContext' object has no attribute",  # a nursery
    "Task got bad yield: <class 'trio.",
    "Task got bad yield: WaitTaskRescheduled(",
)
FOREIGN = (
    "it awaits something of trio, which doesn't run here:"
    " @app.job(runtime=\"trio\") runs the handler in the engine's loop; or use asyncio's"
    " (asyncio.sleep, …) or anyio's"
)

#: One that resists is told again so often, once half of its grace is over.
AGAIN_S = 1.0

host_loop: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("host_loop", default=None)
"""The loop in whose turns trio runs, as its guest; None: it has its own."""


class TaskLeftBehind(BaseException):
    """It was cancelled, and its task runs on."""


@attrs.frozen(eq=False, repr=False)
class _Returned:
    result: Any


@attrs.frozen(eq=False)
class _Stopped:
    """It was cancelled, as it was told to be."""


class _Calls:
    """What a loop has another one call. What is said in one turn goes together: waking a thread
    costs more than all else that a tiny handler needs."""

    def __init__(
        self,
        here: Callable[[Callable[[], None]], object],
        there: Callable[[Callable[[], None]], object],
    ) -> None:
        self._here = here
        """Has this loop call something in its next turn."""
        self._there = there
        """Has the other one call something."""
        self._said: list[Callable[[], None]] = []

    def __call__(self, function: Callable[[], None]) -> None:
        self._said.append(function)
        if len(self._said) == 1:
            self._here(self._send)

    def _send(self) -> None:
        said, self._said = self._said, []

        def call() -> None:
            for function in said:
                function()

        with suppress(trio.RunFinishedError):
            self._there(call)


@attrs.frozen(eq=False)
class _Way:
    """To a loop, and back."""

    loop: asyncio.AbstractEventLoop
    there: _Calls
    back: _Calls

    @classmethod
    def to(cls, loop: asyncio.AbstractEventLoop) -> _Way:
        soon = trio.lowlevel.current_trio_token().run_sync_soon
        return cls(loop, _Calls(soon, loop.call_soon_threadsafe), _Calls(loop.call_soon, soon))


@attrs.define(eq=False)
class _Task:
    """One run, seen from both loops. Its fields are asyncio's until it is over."""

    name: str
    call: Callable[[], Awaitable[Any]]
    context: Context
    loop: asyncio.AbstractEventLoop
    over: Callable[[], None]
    """To be called when it is."""
    grace_s: float
    ended: _Returned | Raised | _Stopped | None = None
    """How, once it has."""
    is_told: bool = False
    """Whether it was told to end."""
    _task: asyncio.Task[None] | None = None
    _again: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        # Not by the loop, which a handler may have given a way of its own to make them.
        self._task = asyncio.Task(self._run(), loop=self.loop, name=self.name, context=self.context)
        self._task.add_done_callback(self._done)

    def end(self, reason: str) -> None:
        """Tell it to, now and then again."""
        if self.ended is None and self._task is not None:
            after_s = AGAIN_S if self.is_told else max(AGAIN_S, self.grace_s / 2)
            self.is_told = True
            self._task.cancel(reason)
            self._again = self.loop.call_later(after_s, self.end, reason)

    async def _run(self) -> None:
        try:
            self.ended = _Returned(await self.call())
        except asyncio.CancelledError as error:
            self.ended = _Stopped() if self.is_told else self._unasked(error)
        except (RuntimeError, AttributeError) as error:
            is_of_trio = text_of(error).startswith(OF_TRIO)
            self.ended = Raised(BadHandler(FOREIGN) if is_of_trio else error)
        except BaseException as error:  # also what would end the loop
            self.ended = Raised(error)
        finally:
            end_if_copy()

    def _done(self, task: asyncio.Task[None]) -> None:
        if self.ended is None:  # cancelled before it has begun
            self.ended = _Stopped() if self.is_told else self._unasked(asyncio.CancelledError())
        if self._again is not None:
            self._again.cancel()
        left_behind.discard(self)
        # A program that ends cancels all tasks of its loop, also that in which trio is a guest, and
        # has told it by now: that is no handler's failure.
        self.over()

    def _unasked(self, error: asyncio.CancelledError) -> Raised:
        if error.args:
            return Raised(error)
        was_cancelled = self._task is not None and self._task.cancelling() > 0
        what = "the handler's task" if was_cancelled else "what it awaited"
        return Raised(asyncio.CancelledError(f"{what} was cancelled, and its job wasn't"))


@attrs.define(eq=False)
class AsyncioLoop:
    """An engine's, or a runner's. Started by the first run, closed after the last one; a host's is
    used as it is, and left so."""

    _own: LoopThread | None = attrs.field(default=None, init=False)
    _way: _Way | None = attrs.field(default=None, init=False)
    _has_begun: trio.Event = attrs.field(factory=trio.Event, init=False)
    _tasks: set[_Task] = attrs.field(factory=set[_Task], init=False)
    """Those that aren't over."""

    @property
    def here(self) -> asyncio.AbstractEventLoop | None:
        """The loop in which they run, for who asks in one of them; None: none has run yet."""
        if (host := host_loop.get()) is not None:
            return host
        return None if self._own is None else self._own.loop

    async def run(
        self,
        call: Callable[[], Awaitable[Any]],
        context: Context,
        name: str,
        places: trio.CapacityLimiter,
        grace: Grace,
    ) -> Any:
        """Run what this calls, and return what comes of it.

        Raises:
          Raised: Whatever it raises, in there.
          NothingLeft: No loop can be started; it wasn't called.
          NoThread: It was cancelled while it waited for its place; it wasn't called.
          TaskLeftBehind: It was cancelled, and goes on.

        Cancellation: its task is cancelled, and waited for as long as it has.
        """
        way, over = self._to_loop(), trio.Event()

        def ended() -> None:
            self._tasks.discard(task)
            places.release_on_behalf_of(task)
            over.set()

        task = _Task(name, call, context, way.loop, lambda: way.back(ended), grace.grace_s)
        try:
            await places.acquire_on_behalf_of(task)
        except trio.Cancelled as cancelled:
            raise NoThread(cancelled) from None
        self._tasks.add(task)
        way.there(task.begin)
        try:
            await over.wait()
        except trio.Cancelled as cancelled:
            way.there(partial(task.end, _reason(cancelled)))
            await _end_of(over, grace)
            if not over.is_set():
                left_behind.add(task)
                if task.ended is None:
                    raise TaskLeftBehind from None
                left_behind.discard(task)  # in this very moment
            if isinstance(task.ended, _Stopped):
                raise
        if isinstance(task.ended, Raised):
            raise task.ended
        return task.ended.result if isinstance(task.ended, _Returned) else None

    async def watch(self, report: Report, stall_s: float) -> None:
        """Until cancelled: tell when the loop stands still, for so long. Of a host's somebody else
        tells: it is the engine's own."""
        await self._has_begun.wait()
        if self._own is not None:
            await self._own.watch(report, stall_s)

    async def close(self, report: Report) -> None:
        """What is left in there is cancelled and ends, and so does the loop. Isn't cancellable, and
        takes a bounded time; then it is left alone."""
        is_closed = not self._tasks if self._own is None else await self._own.close()
        self._own = self._way = None
        if not is_closed:
            report(AsyncioLeft(tuple(sorted(task.name for task in self._tasks))))

    def lag_s(self) -> float | None:
        """The longest that the loop was late in the last seconds; None: there is none that isn't
        the engine's own. May be asked in any thread."""
        return None if (own := self._own) is None else own.lag_s()

    def _to_loop(self) -> _Way:
        if self._way is None:
            if (loop := host_loop.get()) is None:
                self._own = LoopThread.start()
                self._has_begun.set()
                loop = self._own.loop
            self._way = _Way.to(loop)
        return self._way


async def _end_of(over: trio.Event, grace: Grace) -> None:
    """As long as a run has. Isn't cancellable."""
    if grace.given_up is not None:
        await end_or_given_up(over, grace.given_up)
    else:
        with trio.move_on_after(grace.grace_s, shield=True):
            await over.wait()


def _reason(cancelled: trio.Cancelled) -> str:
    if cancelled.reason:
        return cancelled.reason
    return "it took too long" if cancelled.source == "deadline" else "it is to end"
