"""``def`` handlers in threads, and the threads that were left behind.

A thread can't be stopped from outside. One that should be is left alone, so that its worker
can go on; it keeps its place under the limit until it ends, and is counted here meanwhile.
A handler that wants to end in time asks ``trioq.check_cancelled()`` now and then.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import attrs
import trio

from trioq.core.tempo import Tempo
from trioq.core.wants import NothingLeft, want_of
from trioq.engine.forks import end_if_copy
from trioq.engine.handlers.describe import Raised
from trioq.engine.handlers.grace import Grace
from trioq.engine.nurseries import first_of


class _Instead(BaseException):
    """Says more than the cancellation that it stands for."""

    def __init__(self, cancelled: trio.Cancelled) -> None:
        self.cancelled = cancelled
        super().__init__()


class NoThread(_Instead):
    """It was cancelled while it waited for a thread; the function wasn't called, and won't be."""


class ThreadLeftBehind(_Instead):
    """It was cancelled, and its thread runs on."""


class Left(Protocol):
    """What runs on in a thread after its job was given up."""

    @property
    def name(self) -> str:
        """Its handler's."""


left_behind: set[Left] = set()
"""All that do."""


def abandoned_threads() -> Mapping[str, int]:
    """How many threads run on after their job was given up, by the name of the handler.

    Each holds a place under its engine's limit. An engine whose places are all taken like
    this runs no ``def`` handlers any more.
    """
    return Counter(left.name for left in tuple(left_behind))


async def run_in_thread(
    function: Callable[[], Any],
    name: str,
    limiter: trio.CapacityLimiter,
    tempo: Tempo,
    grace: Grace,
) -> Any:
    """Call a function in a thread, and tell the tempo how long it took in there.

    Raises:
      Raised: Whatever the function raises, in there.
      NothingLeft: No thread can be started; the function wasn't called.
      NoThread, ThreadLeftBehind: It was cancelled. They stand in for :exc:`trio.Cancelled`,
          which can't say what became of the function.

    Cancellation: the function hears of it where it asks. Where the run has a grace the end of the
    function is waited for so long, and counts; else it is left alone at once.
    """
    call = _Call(function, name, tempo)
    try:
        ended = await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=limiter)
    except trio.Cancelled as cancelled:
        if call.withdraw():
            raise NoThread(cancelled) from None
        if grace.given_up is not None:
            await end_or_given_up(call.ended_event(), grace.given_up)
        if call.leave():
            raise ThreadLeftBehind(cancelled) from None
        if grace.given_up is None or call.ended is None:
            raise
        ended = call.ended
    except (OSError, RuntimeError, MemoryError) as error:
        want = want_of(error) if call.withdraw() else None
        if want is not None:
            raise NothingLeft(want) from None
        raise
    if isinstance(ended, Raised):
        raise ended
    return ended.result


async def end_or_given_up(ended: trio.Event, given_up: trio.Event) -> None:
    """Wait for what was told to end. Isn't cancellable, and takes a bounded time."""
    with trio.CancelScope(shield=True):
        await first_of(ended, given_up)


def event_of(token: trio.lowlevel.TrioToken, event: trio.Event) -> None:
    """Set an event of a loop, from a thread that may outlive it."""
    with contextlib.suppress(trio.RunFinishedError):
        token.run_sync_soon(event.set)


@attrs.frozen(eq=False, repr=False)
class _Returned:
    result: Any


@attrs.define(eq=False)
class _Call:
    """One call, seen from two threads; the lock makes them agree on whether it was made."""

    function: Callable[[], Any]
    name: str
    tempo: Tempo
    _lock: threading.Lock = attrs.field(factory=threading.Lock)
    ended: _Returned | Raised | None = None
    """How, once it has."""
    _started: bool = False
    _withdrawn: bool = False
    _tell: Callable[[], None] | None = None
    """Called in the thread when it has ended."""

    def __call__(self) -> _Returned | Raised:
        """Tells how it ended as a value: trio knows neither all errors nor all results."""
        with self._lock:
            if self._withdrawn:
                return _Returned(None)
            self._started = True
        began = time.perf_counter()
        ended = self._called()
        end_if_copy()
        self.tempo.ran(time.perf_counter() - began)
        with self._lock:
            self.ended = ended
            left_behind.discard(self)
        if self._tell is not None:
            self._tell()
        return ended

    def _called(self) -> _Returned | Raised:
        try:
            return _Returned(self.function())
        except BaseException as error:
            return Raised(error)

    def ended_event(self) -> trio.Event:
        """Set when it has ended. Called in the loop."""
        event = trio.Event()
        tell = partial(event_of, trio.lowlevel.current_trio_token(), event)
        with self._lock:
            self._tell = tell
        if self.ended is not None:
            event.set()
        return event

    def withdraw(self) -> bool:
        """Don't make the call; False if it's too late for that."""
        with self._lock:
            self._withdrawn = not self._started
            return self._withdrawn

    def leave(self) -> bool:
        """Count it as left behind; False if it has ended by now."""
        with self._lock:
            if self.ended is None:
                left_behind.add(self)
            return self.ended is None


class ThreadPlace:
    """A place under a limit, taken before there is a thread; it's free when that has ended.

    Raises:
      trio.WouldBlock: There is none.
    """

    def __init__(self, limiter: trio.CapacityLimiter) -> None:
        limiter.acquire_on_behalf_of_nowait(self)
        self._limiter = limiter
        self._is_the_threads = False

    async def run(self, function: Callable[[], None]) -> None:
        """Call a function in a thread, once. It may not raise.

        Raises:
          OSError, RuntimeError, MemoryError: No thread can be started.

        Cancellation: the thread is left alone, and has its place until it ends.
        """
        try:
            await trio.to_thread.run_sync(
                function,
                abandon_on_cancel=True,
                limiter=self,  # type: ignore[arg-type]  # it has all that is used of one
            )
        except BaseException:
            if not self._is_the_threads:
                self._limiter.release_on_behalf_of(self)
            raise

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        self._is_the_threads = True

    def release_on_behalf_of(self, borrower: object) -> None:
        self._limiter.release_on_behalf_of(self)
