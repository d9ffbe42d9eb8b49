"""What is awaited in asyncio around a call in a thread.

The thread belongs to trio's side: that knows the limit, tells it of cancellation, and leaves it
behind. Both sides are cancelled at once; asyncio's waits for how the call ends, which is bounded.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any

import attrs
import trio

from trioq.engine.handlers.asyncio_loop import AsyncioLoop
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.threads import NoThread, ThreadLeftBehind

InThread = Callable[[Callable[[], Any], Context], Awaitable[Any]]
"""Calls something in a thread, which has this context."""

How = Callable[[], Any] | None
"""Gives its result, or raises; None: it was cancelled."""


@attrs.define(eq=False)
class Crossing:
    """One run's.

    Args:
      in_thread: Awaited in trio's loop.
    """

    _in_thread: InThread
    _token: trio.lowlevel.TrioToken = attrs.field(
        factory=trio.lowlevel.current_trio_token, init=False
    )
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    """Where the call is awaited; None: nobody waits for it any more."""
    _fate: NoThread | ThreadLeftBehind | None = attrs.field(default=None, init=False)
    """What became of the call, if it was cancelled."""

    async def run(
        self,
        loop: AsyncioLoop,
        call: Callable[[], Awaitable[Any]],
        context: Context,
        name: str,
        grace: Grace,
    ) -> Any:
        """Run this in asyncio. It takes no place: that is for the call within.

        Raises:
          NoThread, ThreadLeftBehind: It was cancelled, and that became of the call.
          BaseException: What :meth:`AsyncioLoop.run` raises.

        Cancellation: both are cancelled, and have their grace.
        """
        error: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                self._nursery, places = nursery, trio.CapacityLimiter(math.inf)
                try:
                    return await loop.run(call, context, name, places, grace)
                except BaseException as raised:
                    error = raised  # as it is, in no group
                finally:
                    self._nursery = None
            if type(error) is trio.Cancelled and self._fate is not None:
                raise self._fate
            raise error
        finally:
            del error

    # -- in asyncio ------------------------------------------------------------------------

    async def __call__(self, call: Callable[[], Any], context: Context) -> Any:
        """Call this in a thread.

        Cancellation: the call is cancelled with the run and not otherwise; its end is waited for,
        and counts.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[How] = loop.create_future()
        cancelled: asyncio.CancelledError | None = None

        def tell(how: How) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(ended.set_result, how)

        try:
            self._token.run_sync_soon(self._begin, call, context, tell)
        except trio.RunFinishedError:
            raise asyncio.CancelledError from None
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError as error:
                cancelled = error
        if (how := ended.result()) is not None:
            return how()
        if cancelled is None:
            await loop.create_future()  # which is about to be told
        assert cancelled is not None
        raise cancelled

    # -- in trio's loop --------------------------------------------------------------------

    def _begin(
        self, call: Callable[[], Any], context: Context, tell: Callable[[How], None]
    ) -> None:
        if self._nursery is None:
            tell(None)
        else:
            self._nursery.start_soon(self._await, call, context, tell)

    async def _await(
        self, call: Callable[[], Any], context: Context, tell: Callable[[How], None]
    ) -> None:
        try:
            result = await self._in_thread(call, context)
        except (NoThread, ThreadLeftBehind) as fate:
            self._fate = fate
            tell(None)
        except trio.Cancelled:
            tell(None)
        except BaseException as error:
            tell(partial(_raise, error))
        else:
            tell(lambda: result)


def _raise(error: BaseException) -> Any:
    raise error
