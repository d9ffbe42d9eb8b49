"""Whether the process lives that an engine stands for, or is stopped: its handlers ask.

Killed, none of its code may act any more; stopped, none may until it goes on. Engines in a world
are tasks of one process, so both have to be done to their handlers by other means:
:mod:`trioq.testing.exploring`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any

import attrs
import trio

from trioq.testing.clock import VirtualTime


class Crashed(BaseException):
    """Raised where code of a dead process would act: it isn't there any more."""


@attrs.define(eq=False)
class Life:
    """That of one engine and all that runs in it."""

    is_dead: bool = False
    time: VirtualTime | None = None
    """Threads of it that are held here don't hold that."""
    _is_held: bool = False
    _tasks: list[trio.lowlevel.Task] = attrs.field(factory=list[trio.lowlevel.Task], init=False)
    _futures: list[asyncio.Future[None]] = attrs.field(
        factory=list[asyncio.Future[None]], init=False
    )
    _threads: list[threading.Event] = attrs.field(factory=list[threading.Event], init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def end(self) -> None:
        """It is dead."""
        self.is_dead = True
        self.go_on()

    @property
    def is_held(self) -> bool:
        """Whether it is stopped."""
        return self._is_held

    def hold(self) -> None:
        """It is stopped. What runs in it notices at its next step."""
        self._is_held = True

    def go_on(self) -> None:
        """Called in trio, where it was held."""
        with self._lock:
            self._is_held = False
            tasks, self._tasks = self._tasks, []
            futures, self._futures = self._futures, []
            threads, self._threads = self._threads, []
        for task in tasks:
            trio.lowlevel.reschedule(task)
        for future in futures:
            future.get_loop().call_soon_threadsafe(_wake, future)
        for thread in threads:
            if self.time is not None:
                self.time.hold()
            thread.set()

    # -- what is held waits --------------------------------------------------------------------

    def held(self, has_thread: bool = False) -> Generator[Any, Any, None]:
        """Of a coroutine, in trio or in asyncio: wait until it may go on. Isn't cancellable, as
        nothing reaches a process that is stopped.

        Args:
          has_thread: It has waited for one of trio's, and hasn't given it back.
        """
        if has_thread and self._is_held and self.time is not None:
            with self.time.stopped():
                yield from self.held()
        while self._is_held:
            if trio.lowlevel.in_trio_task():
                self._tasks.append(trio.lowlevel.current_task())
                yield from trio.lowlevel.wait_task_rescheduled(_stays).__await__()  # noqa: ASYNC105
            else:
                yield from self._held_in_asyncio()

    def _held_in_asyncio(self) -> Generator[Any, Any, None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if not self._is_held:
                return
            self._futures.append(future)
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                yield from asyncio.wait([future]).__await__()
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def held_thread(self) -> None:
        """The same of a thread."""
        while True:
            event = threading.Event()
            with self._lock:
                if not self._is_held:
                    return
                self._threads.append(event)
            if self.time is not None:
                self.time.let_go()
            event.wait()


def _stays(_: Any) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


here: ContextVar[Life | None] = ContextVar("trioq_life", default=None)
"""That of the engine in which this runs, in its tasks and its threads."""
