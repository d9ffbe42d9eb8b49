"""Runs a test's functions in trio, in the world's time, which goes on from one to the next."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import outcome
import trio
from trio.testing import MockClock

from trioq.testing.asyncio_time import in_virtual_time
from trioq.testing.clock import VirtualTime
from trioq.testing.foreign import waits_at
from trioq.testing.moments import EPOCH
from trioq.testing.telling import Telling

T = TypeVar("T")

#: That a task has around which the test runs.
OWN_NURSERIES = 2


class Timed(Telling):
    """A world's time, in which one function runs after the other.

    Args:
      clock: Trio's, where somebody else runs it.
      begins: What the world's clocks show first.
    """

    def __init__(self, clock: MockClock | None = None, begins: datetime = EPOCH) -> None:
        super().__init__()
        self.timekeeper = VirtualTime() if clock is None else VirtualTime(clock)
        self.nursery: trio.Nursery | None = None
        """Where engines run, while anything does."""
        self._begins = begins
        self._task: trio.lowlevel.Task | None = None
        """The one that runs the test."""

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.timekeeper.now

    @property
    def time(self) -> datetime:
        """What its clocks show."""
        return self._begins + timedelta(seconds=self.now)

    def epoch_s(self) -> float:
        """The same in seconds since 1970, as the store goes by it. In any thread."""
        return self._begins.timestamp() + self.now

    @property
    def clock(self) -> MockClock:
        """Trio's."""
        return self.timekeeper.clock

    def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an async function in trio, in this world's time; at its end the engines that it has
        started are cancelled, which give their jobs back. Time and data stay for the next.

        Args:
          function: The async function.
          args: What it is called with.

        Returns:
          What it returns.

        Raises:
          NothingHappens: Everybody waits, and nobody ever will be woken.
        """
        return trio.run(self._main, functools.partial(function, *args), clock=self.clock)

    @property
    def is_here(self) -> bool:
        """Whether this is a task of trio in this world's time."""
        return trio.lowlevel.in_trio_task() and trio.lowlevel.current_clock() is self.clock

    @property
    def is_alone(self) -> bool:
        """Whether the test waits here, and has no task of its own that goes on meanwhile."""
        task = trio.lowlevel.current_task()
        return task is self._task and len(task.child_nurseries) == OWN_NURSERIES

    def nursery_here(self) -> trio.Nursery:
        """Where an engine may run that is started here.

        Raises:
          RuntimeError: Nothing of this world runs here.
        """
        if self.nursery is None or not self.is_here:
            raise RuntimeError(
                "an engine runs in trio, in the world's time, and this is neither: tq.run(function)"
                " runs a function there; and tq.drain() runs jobs from anywhere"
            )
        return self.nursery

    async def _main(self, function: Callable[[], Awaitable[T]]) -> T:
        ended: outcome.Maybe[T] | None = None
        self._task = task = trio.lowlevel.current_task()
        try:
            with in_virtual_time(self.timekeeper):
                async with trio.open_nursery() as around:
                    blocked = functools.partial(waits_at, task)
                    around.start_soon(self.timekeeper.keep, blocked, self._leap)
                    async with trio.open_nursery() as self.nursery:
                        ended = await outcome.acapture(function)
                        self.nursery.cancel_scope.cancel()
                    around.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _alone(group) from None
        finally:
            self.nursery = self._task = None
            self._left_off()
        assert ended is not None
        return ended.unwrap()

    def _left_off(self) -> None:
        """A function has run, and nothing runs any more."""

    def _leap(self, left_s: float) -> float:
        """How long everybody may sleep at once who would sleep for so long."""
        return left_s


def _alone(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What one task raised, without the nurseries around it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
