"""Virtual time: it passes where everybody waits for it, and at no other time.

Time stands while anything runs. Once all tasks wait, and nothing real is under way that could wake
one, the clock jumps to the next moment for which somebody waits. While something real is under way,
a thread say, it goes as fast as any clock, so that what hangs in there meets its timeout.

It is trio's :class:`~trio.testing.MockClock`, whose own way to jump asks nobody.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import attrs
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

#: Where nothing can wake anybody, as far as can be seen from here, a thread that nobody has told
#: us of still may: it has so long, in real seconds.
PATIENCE_S = 1.0


class NothingHappens(AssertionError):
    """Everybody waits, and nothing is under way that could wake one: a test would wait for good."""


class Alarm(Protocol):
    """Another loop that goes by this clock."""

    @property
    def due(self) -> float | None:
        """When it has something to do again; None: as far as it knows, at no time."""

    def ring(self) -> None:
        """That has come."""


@attrs.define(eq=False)
class VirtualTime:
    """A world's clock, for one run of trio after the other."""

    clock: MockClock = attrs.field(factory=MockClock)
    alarms: list[Alarm] = attrs.field(factory=list[Alarm], init=False)
    """Those of others, at which it stops, too."""
    _busy: int = attrs.field(default=0, init=False)
    _ended: int = attrs.field(default=0, init=False)
    """How often something real has ended."""
    _stopped: int = attrs.field(default=0, init=False)
    """Tasks that are stopped, and still have one of trio's threads."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _keeps: trio.lowlevel.TrioToken | None = attrs.field(default=None, init=False)
    """The run of trio in which time passes, while there is one."""

    @property
    def now(self) -> float:
        """Seconds since the world began. May be asked in any thread."""
        return self.clock.current_time()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While this lasts, something real is under way that will wake somebody in the loop: time
        doesn't jump. In any thread."""
        self.hold()
        try:
            yield
        finally:
            self.let_go()

    def hold(self) -> None:
        """Something real begins, which will wake somebody in the loop before it ends: until
        :meth:`let_go` has been called as often, time doesn't jump. In any thread."""
        with self._lock:
            self._busy += 1

    def let_go(self) -> None:
        """It has ended."""
        with self._lock:
            self._busy -= 1
            self._ended += 1
        if (token := self._keeps) is not None:
            # Who keeps the time looks again, though nobody else may be woken.
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(_nothing)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While this lasts, a task doesn't hear of the thread that it waits for."""
        self._stopped += 1
        try:
            yield
        finally:
            self._stopped -= 1

    async def keep(
        self, blocked: Callable[[], str], leap: Callable[[float], float] = lambda left_s: left_s
    ) -> None:
        """Let time pass, until cancelled.

        Args:
          blocked: Says where those wait that never will be woken.
          leap: Told for how many seconds all would wait, it says how many may pass at once: who
            would have been woken meanwhile is woken then.

        Raises:
          NothingHappens: Nobody will ever be woken.
        """
        self._keeps = trio.lowlevel.current_trio_token()
        while True:
            ended = self._ended
            await wait_all_tasks_blocked()
            seen = trio.lowlevel.current_statistics()
            if seen.tasks_runnable:
                continue  # others waited for the same, and have been woken
            if self._is_busy():
                await self._real_time()
            elif self._ended != ended:
                continue  # whom it has woken the loop may not have seen yet
            elif math.isfinite(left_s := self._left_s(leap(seen.seconds_to_next_deadline))):
                self.clock.jump(left_s)
                self._ring()
            elif await _stays_so():
                raise NothingHappens(
                    "nothing happens any more: everybody waits, and nobody for a time\n" + blocked()
                )

    def _is_busy(self) -> bool:
        threads = trio.to_thread.current_default_thread_limiter()
        return self._busy > 0 or threads.borrowed_tokens > self._stopped

    def _left_s(self, in_trio_s: float) -> float:
        """In how many seconds somebody is to be woken, in trio or elsewhere; infinite: never."""
        dues = [alarm.due for alarm in self.alarms]
        elsewhere = min((due for due in dues if due is not None), default=math.inf)
        return max(0.0, min(in_trio_s, elsewhere - self.now))

    def _ring(self) -> None:
        for alarm in self.alarms:
            if alarm.due is not None and alarm.due <= self.now:
                alarm.ring()

    async def _real_time(self) -> None:
        """Until something has happened."""
        self.clock.rate = 1.0
        try:
            await _somebody_runs()
        finally:
            self.clock.rate = 0.0


def _nothing() -> None:
    pass


async def _stays_so() -> bool:
    """Whether nobody is woken within our patience."""
    with _others() as others:
        await wait_all_tasks_blocked(PATIENCE_S)
    return others.woken == 0


async def _somebody_runs() -> None:
    """Until another task is about to run."""
    with _others() as others:
        others.wakes_keeper = True
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)


@attrs.define(eq=False)
class _Others(trio.abc.Instrument):
    """Sees other tasks be woken."""

    keeper: trio.lowlevel.Task
    woken: int = 0
    wakes_keeper: bool = False

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if task is self.keeper:
            self.wakes_keeper = False
            return
        self.woken += 1
        if self.wakes_keeper:
            trio.lowlevel.reschedule(self.keeper)


@contextmanager
def _others() -> Iterator[_Others]:
    others = _Others(trio.lowlevel.current_task())
    trio.lowlevel.add_instrument(others)
    try:
        yield others
    finally:
        trio.lowlevel.remove_instrument(others)
