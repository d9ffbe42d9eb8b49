"""Runs that wait: what is to be said of how they begin, and of those that were good, is said of
many at once.

Those whose handlers have waited for the same moment come back in one turn of the loop. Of all that
have, and of what has begun then, the boot, the breakers and whoever listens are told in the next.
What ended in any other way is told by itself, after those, so that everybody hears of ends in the
order in which they were. That a run has begun which is traced is told at once, while its span is
current.
"""

from __future__ import annotations

import attrs
import trio

from trioq import failpoints
from trioq.core.events import JobsStarted, Start
from trioq.core.outcome import Succeeded
from trioq.core.wall import wall_s
from trioq.engine.claim import Claimer
from trioq.engine.runs.done import Done, DoneTeller
from trioq.engine.runs.plan import Plan, PlannedJob
from trioq.engine.runs.run import Run, Runs
from trioq.engine.runs.turn import Turn


@attrs.define(eq=False)
class Ends:
    """An engine's.

    Args:
      turn: Is over when the loop has turned.
    """

    runs: Runs
    teller: DoneTeller
    turn: Turn
    _begun: list[tuple[PlannedJob, int, float]] = attrs.field(
        factory=list[tuple[PlannedJob, int, float]], init=False
    )
    """Those of which it isn't told yet that they have, in which worker, and when."""
    _by: Claimer | None = attrs.field(default=None, init=False)
    """Who has claimed those that have ended and aren't told yet; None: there are none."""
    _done: list[Done] = attrs.field(factory=list[Done], init=False)
    _workers: list[int] = attrs.field(factory=list[int], init=False)
    _lot: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    """Where its task waits for one."""
    _is_called: bool = attrs.field(default=False, init=False)
    """It comes in the next turn."""
    _called_in: int = attrs.field(default=0, init=False)
    """The workers' turn in which it was called."""

    async def run(self) -> None:
        """Tell of them, one turn of the loop after the first.

        Cancellation: from then on each is told of at once.
        """
        try:
            while True:
                await self._lot.park()
                self._is_called = False
                self.turn.ended(self._called_in)
                self.tell()
        finally:
            self._is_called = False
            self.tell()

    def begins(self, job: PlannedJob, worker: int, now: float) -> None:
        """A handler waits, which has begun now, in this worker, which calls."""
        self._begun.append((job, worker, now))
        if job.span is not None:
            self._tell_begun()  # its span is current here, and nowhere else
        elif not self._is_called:
            self._call()

    def takes(self, run: Run, job: PlannedJob) -> bool:
        """Whether the end of this run can be told of with others."""
        breaker = job.header.plan.breaker
        return (
            isinstance(run.outcome, Succeeded)
            and run.span is None
            # Each success counts where it can be what opens a breaker, or closes it.
            and breaker.is_calm
            and run.permit.generation == breaker.generation
            and not failpoints.armed()
        )

    def join(self, run: Run, job: PlannedJob, worker: int, now: float) -> None:
        """Take one of these, which has ended now."""
        assert isinstance(run.outcome, Succeeded)
        header, by = job.header, run.claim.by
        if self._by is not by:
            self.tell()
            self._by = by
            self.runs.tells_later(by)
        kept = header.plan.kept(run.outcome.result)
        self._done.append((run.claim, header, run.took_s, now, None, kept, run.board))
        self._workers.append(worker)
        run.is_told = True
        if not self.runs:
            self.tell()  # nobody else can end in this turn, and somebody may wait for this one
        elif not self._is_called:
            self._call()

    def _call(self) -> None:
        if self._lot:
            self._is_called, self._called_in = True, self.turn.number
            self._lot.unpark()
        else:
            self.tell()

    def tell(self) -> None:
        """Tell of them now."""
        if self._begun:
            self._tell_begun()
        if (by := self._by) is None:
            return
        done, workers = self._done, self._workers
        self._by, self._done, self._workers = None, [], []
        try:
            self.teller.tell(done, by, workers)
        finally:
            self.runs.has_told(by)

    def _tell_begun(self) -> None:
        begun, self._begun = self._begun, []
        wall = wall_s() - trio.current_time()
        by_plan: dict[Plan, list[Start]] = {}
        for job, worker, began in begun:
            held, header = job.held, job.header
            by_plan.setdefault(header.plan, []).append(
                (
                    held.uid, held.attempt, held.suspect,
                    header.enqueued_ms, header.wanted_ms, wall + began, worker,
                )
            )  # fmt: skip
        for plan, runs in by_plan.items():
            are_plain = not any(
                attempt > 1 or suspect or wanted_ms != enqueued_ms
                for _, attempt, suspect, enqueued_ms, wanted_ms, _, _ in runs
            )
            self.teller.report(JobsStarted(plan.name, plan.queue, runs, are_plain))
