"""A loop of asyncio that goes by the kit's clock: an hour's sleep in it takes no time, as in trio.

It runs in a thread, beside trio. As long as it has anything to do, it holds the clock; when it has
nothing, it lets go, and says at which time it has: whoever moves the clock stops there, and rings.
While one of its tasks waits for a socket, it holds the clock, too, as nobody can know when that
is ready.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from typing import TypeVar, TypeVarTuple

from trioq.engine.handlers.asyncio_loop import host_loop
from trioq.testing.clock import VirtualTime

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


#: What is left in it has so long to end, in real seconds.
END_S = 5.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """One loop, whose thread starts when something is first called in it from another."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._lock = threading.Lock()
        self._is_poked = False
        """Whether it was called from another thread since it last looked."""
        self._is_idle = True
        self.due: float | None = None
        """When it has something to do again, if it is idle and has a time for it."""
        self._thread: threading.Thread | None = None
        super().__init__(_Idling(self))

    def time(self) -> float:
        return self._time.now

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        with self._lock:  # the loop mustn't rest between what it is told and the call
            self._wake()
            handle = super().call_soon_threadsafe(callback, *args, context=context)
            if self._thread is None:
                self._thread = threading.Thread(target=self._turn, name="asyncio", daemon=True)
                self._thread.start()
            return handle

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._time.hold()
        future.add_done_callback(lambda _: self._time.let_go())
        return future

    def ring(self) -> None:
        """Its time has come."""
        self.call_soon_threadsafe(_nothing)

    def end(self, patience_s: float) -> None:
        """Cancel what is left in it, and close it; what resists for so long is left alone."""
        if self._thread is None:
            self.close()
            return
        asyncio.run_coroutine_threadsafe(self._wind_up(), self)
        self._thread.join(patience_s)

    # -- in its thread ---------------------------------------------------------------------

    def _turn(self) -> None:
        asyncio.set_event_loop(self)
        try:
            self.run_forever()
        finally:
            self.close()
            self.rest(None)

    async def _wind_up(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel("the test has ended")
        if left:
            await asyncio.wait(left)
        await self.shutdown_asyncgens()
        await self.shutdown_default_executor()
        self.stop()

    def awake(self) -> None:
        """It goes on, whoever has woken it."""
        with self._lock:
            self._wake()

    def _wake(self) -> None:
        self._is_poked = True
        if self._is_idle:
            self._is_idle, self.due = False, None
            self._time.hold()

    def rest(self, timeout_s: float | None) -> bool:
        """Let go of the clock, until somebody calls; False: somebody has."""
        with self._lock:
            if self._is_poked and not self.is_closed():
                self._is_poked = False
                return False
            if not self._is_idle:
                self.due = None if timeout_s is None else self.time() + timeout_s
                self._is_idle = True
                self._time.let_go()
            return True


class _Idling(selectors.DefaultSelector):
    """Where the loop waits."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        has_work = timeout is not None and timeout <= 0
        has_sockets = len(self.get_map()) > 1  # one is its own, by which it is called
        if has_work or has_sockets or not self._loop.rest(timeout):
            return super().select(timeout if has_work or has_sockets else 0)
        ready = super().select(None)
        self._loop.awake()
        return ready


def _nothing() -> None:
    """What a loop is called with that is only to turn."""


@contextmanager
def in_virtual_time(time: VirtualTime) -> Iterator[None]:
    """Engines that start in here run their handlers for asyncio in this loop, as guests would."""
    loop = VirtualLoop(time)
    time.alarms.append(loop)
    before = host_loop.set(loop)
    try:
        yield
    finally:
        host_loop.reset(before)
        loop.end(END_S)
        time.alarms.remove(loop)
