"""Runs that have waited and were good: what is to be said of them is said of many at once.

Those whose handlers have waited for the same moment come back in one turn of the loop. Of all that
have, the boot, the breakers and whoever listens are told in the next. What ended in any other way
is told by itself, after those, so that everybody hears of ends in the order in which they were.
"""

from __future__ import annotations

import attrs
import trio

from trioq import failpoints
from trioq.core.outcome import Succeeded
from trioq.engine.claim import Claimer
from trioq.engine.runs.done import Done, DoneTeller
from trioq.engine.runs.plan import PlannedJob
from trioq.engine.runs.run import Run, Runs


@attrs.define(eq=False)
class Ends:
    """An engine's."""

    runs: Runs
    teller: DoneTeller
    _by: Claimer | None = attrs.field(default=None, init=False)
    """Who has claimed those that aren't told yet; None: there are none."""
    _done: list[Done] = attrs.field(factory=list[Done], init=False)
    _workers: list[int] = attrs.field(factory=list[int], init=False)
    _lot: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    """Where its task waits for one."""
    _is_called: bool = attrs.field(default=False, init=False)
    """It comes in the next turn."""

    async def run(self) -> None:
        """Tell of them, one turn of the loop after the first.

        Cancellation: from then on each is told of at once.
        """
        try:
            while True:
                await self._lot.park()
                self._is_called = False
                self.tell()
        finally:
            self._is_called = False
            self.tell()

    def join(self, run: Run, job: PlannedJob, worker: int, now: float) -> bool:
        """Take a run that has ended now, if it can be told of with others."""
        header, by = job.header, run.claim.by
        breaker = header.plan.breaker
        if (
            not isinstance(run.outcome, Succeeded)
            or run.span is not None
            # Each success counts where it can be what opens a breaker, or closes it.
            or not breaker.is_calm
            or run.permit.generation != breaker.generation
            or failpoints.armed()
        ):
            return False
        if self._by is not by:
            self.tell()
            self._by = by
            self.runs.tells_later(by)
        kept = header.plan.kept(run.outcome.result)
        self._done.append((run.claim, header, run.took_s, now, None, kept))
        self._workers.append(worker)
        run.is_told = True
        if not self._is_called:
            if self._lot:
                self._is_called = True
                self._lot.unpark()
            else:
                self.tell()
        return True

    def tell(self) -> None:
        """Tell of them now."""
        if (by := self._by) is None:
            return
        done, workers = self._done, self._workers
        self._by, self._done, self._workers = None, [], []
        try:
            self.teller.tell(done, by, workers)
        finally:
            self.runs.has_told(by)
