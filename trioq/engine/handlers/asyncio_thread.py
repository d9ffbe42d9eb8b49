"""A loop of asyncio in a thread of its own, that is looked after."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import attrs
import trio

from trioq.core.events import LoopStalled, Report
from trioq.core.wants import NothingLeft, want_of
from trioq.engine.forks import end_if_copy
from trioq.engine.stalls import where

#: How often the loop shows that it turns, and for how long its worst lag is told.
TICK_S = 0.25
LAG_KEPT_S = 15.0

#: At its end what is left in the loop has so long.
CLOSE_S = 5.0

_clock = time.monotonic


@attrs.define(eq=False)
class LoopThread:
    """Runs from :meth:`start` to :meth:`close`, whatever runs in it says."""

    loop: asyncio.AbstractEventLoop
    _thread: threading.Thread = attrs.field(init=False)
    _is_over: bool = attrs.field(default=False, init=False)
    """Whether the loop is to end; in its thread."""
    _closed: Callable[[], None] = attrs.field(default=lambda: None, init=False)
    """Called in the thread when the loop has ended."""
    _due: float = attrs.field(factory=_clock, init=False)
    """When the loop is to show that it turns."""
    _lags: deque[tuple[float, float]] = attrs.field(factory=deque[tuple[float, float]], init=False)

    @classmethod
    def start(cls) -> LoopThread:
        """
        Raises:
          NothingLeft: No loop, or no thread, can be had.
        """
        loop = None
        try:
            loop = asyncio.new_event_loop()
            made = cls(loop)
            made._thread.start()
        except (OSError, RuntimeError, MemoryError) as error:
            if loop is not None:
                loop.close()
            if (want := want_of(error)) is None:
                raise
            raise NothingLeft(want) from None
        return made

    @_thread.default
    def _make_thread(self) -> threading.Thread:
        return threading.Thread(target=self._turn, name="trioq asyncio", daemon=True)

    # -- in trio's loop --------------------------------------------------------------------

    async def watch(self, report: Report, stall_s: float) -> None:
        """Until cancelled: tell when the loop stands still, for so long."""
        stalled = False
        while True:
            late_s = self.late_s()
            if late_s > stall_s and not stalled:
                report(LoopStalled(late_s, where(self._thread.ident or 0), "asyncio"))
            stalled = late_s > stall_s
            await trio.sleep(min(TICK_S, stall_s))

    async def close(self) -> bool:
        """Close the loop, in order: what is left in it is cancelled and ends, then what is left
        half run. Isn't cancellable, and takes a bounded time; False: it goes on."""
        closed, token = trio.Event(), trio.lowlevel.current_trio_token()

        def tell() -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(closed.set)

        self._closed = tell
        self.loop.call_soon_threadsafe(self._begin_closing)
        with trio.move_on_after(CLOSE_S, shield=True):
            await closed.wait()
        return closed.is_set()

    def lag_s(self) -> float:
        """The longest that the loop was late in the last seconds. May be asked in any thread."""
        oldest = _clock() - LAG_KEPT_S
        lags = (lag for at, lag in tuple(self._lags) if at >= oldest)
        return max(self.late_s(), *lags, 0.0)

    def late_s(self) -> float:
        """How late it is now."""
        return max(0.0, _clock() - self._due)

    # -- in the thread ---------------------------------------------------------------------

    def _turn(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._tick)
        while not self._is_over:
            # What a task wanted the program to end with that nobody awaits; or it has stopped
            # the loop, which isn't its own.
            with suppress(BaseException):
                self.loop.run_forever()
            end_if_copy()
        self.loop.close()
        self._closed()

    def _tick(self) -> None:
        end_if_copy()
        now = _clock()
        self._lags.append((now, max(0.0, now - self._due)))
        while self._lags[0][0] < now - LAG_KEPT_S:
            self._lags.popleft()
        self._due = now + TICK_S
        self.loop.call_later(TICK_S, self._tick)

    def _begin_closing(self) -> None:
        closing = asyncio.Task(self._wind_up(), loop=self.loop)
        closing.add_done_callback(self._end)

    def _end(self, _: asyncio.Task[None]) -> None:
        self._is_over = True
        self.loop.stop()

    async def _wind_up(self) -> None:
        """What was left in the loop ends, then what was left half run."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel("the engine has ended")
        if left:
            await asyncio.wait(left)
        await self.loop.shutdown_asyncgens()
        await self.loop.shutdown_default_executor()
