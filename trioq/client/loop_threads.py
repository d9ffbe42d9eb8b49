"""Threads in which an asyncio program's client waits for the server.

They aren't those of the loop's executor: a handful of slow calls would keep everybody's else
waiting, and a loop that ends would wait for calls that nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from trioq.errors import StoreUnreachable

P = ParamSpec("P")
T = TypeVar("T")

#: A thread that has had nothing to do for so long ends.
IDLE_S = 10.0


def running_loop() -> asyncio.AbstractEventLoop:
    """The loop that runs here.

    Raises:
      RuntimeError: None does.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "trioq.aio is for asyncio, and none of its loops runs here: in trio it is"
            " trioq.connect, in ordinary code trioq.connect_sync"
        ) from None


class Threads:
    """As many as there are calls at a time."""

    def __init__(self) -> None:
        self._own = _Own()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread.

        Cancellation: at once; the function goes on, and nobody hears of its end.
        """
        answer: asyncio.Future[T] = running_loop().create_future()
        self.start(partial(function, *args, **kwargs), answer)
        return await answer

    def start(self, function: Callable[[], T], answer: asyncio.Future[T]) -> None:
        """The same for whoever doesn't wait.

        Raises:
          StoreUnreachable: There is no thread to be had; the function wasn't called.
        """
        own = self._own
        if own.pid != os.getpid():
            own = self._own = _Own()
        with own.lock:
            calls = own.idle.pop() if own.idle else None
        if calls is None:
            calls = SimpleQueue()
            # A daemon: the end of a program doesn't wait for a server that is away.
            thread = threading.Thread(
                target=_work, args=(own, calls), name="trioq client", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                raise StoreUnreachable("no more threads", sent=False) from error
        calls.put((function, answer))


_Calls = SimpleQueue[tuple[Callable[[], Any], "asyncio.Future[Any]"]]


class _Own:
    """What one process has: in a forked child none of its parent's threads is there."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.idle: list[_Calls] = []


def _work(own: _Own, calls: _Calls) -> None:
    while True:
        try:
            function, answer = calls.get(timeout=IDLE_S)
        except Empty:
            with own.lock:
                if calls in own.idle:
                    own.idle.remove(calls)
                    return
            continue  # somebody has just taken it
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:
            error = raised
        with own.lock:
            own.idle.append(calls)
        soon(answer.get_loop(), _tell, answer, result, error)
        del function, answer, result, error  # nobody keeps them while it is idle


def _tell(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.done():
        return  # cancelled
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)


def soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    """Have a loop call a function, from a thread that may outlive it."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


class Bell:
    """Wakes a task; rung in any thread, also in vain."""

    def __init__(self) -> None:
        self._loop, self._event = running_loop(), asyncio.Event()

    def ring(self) -> None:
        soon(self._loop, self._event.set)

    async def wait(self, timeout_s: float) -> None:
        """Until it is rung, or for so long; the next one waits for the next ring."""
        try:
            async with asyncio.timeout(None if timeout_s == math.inf else max(0.0, timeout_s)):
                await self._event.wait()
        except TimeoutError:
            pass
        finally:
            self._event.clear()
