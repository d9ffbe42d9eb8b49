"""The lifespans of an engine, or of a runner: entered one after the other, left in reverse."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import TypeVar

import attrs
import trio

from trioq.core.events import Doing, LifespanFailed, LifespanSlow, Report
from trioq.core.shared import Shared
from trioq.engine.handlers.asyncio_loop import AsyncioLoop
from trioq.engine.handlers.function import Function
from trioq.engine.handlers.held import GRACE_S, LEAVE_S, Held
from trioq.engine.handlers.lifespan import Lifespan
from trioq.engine.nurseries import cancel_when
from trioq.errors import LifespanError

F = TypeVar("F", bound=Function)

#: One that takes so long to be entered, or left, is told of; and again after each such time.
SLOW_S = 5.0
AGAIN_S = 30.0


def _held(lifespans: Iterable[Lifespan]) -> tuple[Held, ...]:
    return tuple(map(Held, lifespans))


@attrs.define(eq=False)
class Lifespans:
    """Those of one engine."""

    _all: tuple[Held, ...] = attrs.field(default=(), converter=_held)
    leave_s: float = LEAVE_S
    """How long each has to be left."""
    loop: AsyncioLoop = attrs.field(factory=AsyncioLoop)
    """In which those of asyncio are entered, and handlers of asyncio run."""
    closing_until: float = attrs.field(default=-math.inf, init=False)
    """When all that is being left has had its time, by ``time.monotonic``. May be asked in any
    thread."""
    leaving: str = attrs.field(default="", init=False)
    """The one that is being left; empty: none. Likewise."""
    entering: str = attrs.field(default="", init=False)
    """The one that is being entered; empty: none. May be asked in any thread."""

    def at_home(self, function: F) -> F:
        """A function as it runs here: with what it shares, and in this loop of asyncio."""
        function, shared = self.in_loop(function), self._shared(function.lifespan)
        return function if shared is None else attrs.evolve(function, shared=shared)

    def in_loop(self, function: F) -> F:
        """A function that finds this loop of asyncio, if it, or what is around it, needs one."""
        return attrs.evolve(function, loop=self.loop) if function.needs_loop else function

    def _shared(self, lifespan: Lifespan | None) -> Shared | None:
        return next((held.shared for held in self._all if held.lifespan is lifespan), None)

    @property
    def need_asyncio(self) -> bool:
        """Whether one of them is entered in asyncio."""
        return any(held.lifespan.runtime == "asyncio" for held in self._all)

    async def enter(self, nursery: trio.Nursery, draining: trio.Event, report: Report) -> bool:
        """Enter them, one after the other.

        Args:
          nursery: Where they are held.
          draining: Set when nobody needs them any more, which ends it.

        Returns:
          Whether all are entered.

        Raises:
          LifespanError: One can't be. Those that are have to be left, as when it is cancelled.
        """
        for held in self._all:
            self.entering = held.lifespan.where
            async with trio.open_nursery() as entering:
                entering.start_soon(cancel_when, draining, entering.cancel_scope)
                entering.start_soon(_tell_slow, held, "entering", report)
                await nursery.start(held.live, self.loop)
                entering.cancel_scope.cancel()
            self.entering = ""
            if not held.is_entered:
                return False
        return True

    async def leave(self, report: Report, *, then_s: float = 0.0) -> LifespanError | None:
        """Leave them, the last one first. Isn't cancellable, and takes a bounded time.

        Args:
          then_s: How long those in runners have afterwards.

        Returns:
          The first of what went wrong; all of it is reported.
        """
        self.entering = ""
        errors = list[LifespanError]()
        with trio.CancelScope(shield=True):
            for held in reversed(self._all):
                if held.is_entered and not held.over.is_set():
                    await self._leave(held, report)
                    if held.error is not None:
                        report(LifespanFailed(held.error.told, held.error.traceback))
                        errors.append(held.error)
        self.closing_until = time.monotonic() + then_s
        return errors[0] if errors else None

    async def _leave(self, held: Held, report: Report) -> None:
        async with trio.open_nursery() as leaving:
            leaving.start_soon(_tell_slow, held, "leaving", report)
            self.leaving = held.lifespan.where
            held.end(self.leave_s)
            self.closing_until = time.monotonic() + self.leave_s + GRACE_S
            await held.over.wait()
            self.leaving = ""
            leaving.cancel_scope.cancel()


async def _tell_slow(held: Held, doing: Doing, report: Report) -> None:
    since = trio.current_time()
    await trio.sleep(SLOW_S)
    while True:
        report(LifespanSlow(held.lifespan.where, doing, trio.current_time() - since))
        await trio.sleep(AGAIN_S)
