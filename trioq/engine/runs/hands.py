"""Runs quick ``def`` handlers job after job in one thread, as long as they are quick.

To have a thread run a job and to hear of its end costs several times what a tiny job does, and
threads that all want to compute take the interpreter from each other. So as long as they are quick
one thread runs them, and the loop hears of many at once. Who comes with more puts it into the same
hand. A job that takes longer than a moment is a run like any other from there on, what is behind it
goes to others at once, and the next ones of its name get a thread each.
"""

from __future__ import annotations

from collections import deque
from contextvars import copy_context

import attrs
import trio

from trioq import failpoints
from trioq.engine.backlog import Backlog
from trioq.engine.claim import Claimer, Held
from trioq.engine.handlers import Function
from trioq.engine.handlers.threads import ThreadPlace
from trioq.engine.runs.done import DoneTeller
from trioq.engine.runs.hand import Hand
from trioq.engine.runs.plan import Planned, Plans
from trioq.engine.runs.run import Runs
from trioq.engine.runs.spree import Begun

#: A job that takes longer has a thread for itself.
MOMENT_S = 0.003


@attrs.define(eq=False)
class Hands:
    """An engine's."""

    backlog: Backlog
    runs: Runs
    plans: Plans
    threads: trio.CapacityLimiter
    teller: DoneTeller
    is_off: bool
    """Whether each run needs more care: it is traced."""
    _open: Hand | None = attrs.field(default=None, init=False)
    """The one that more is put into."""

    def quick(self, held: Held) -> Planned | None:
        """A job that is best run in a row with others; None: it isn't."""
        if self.is_off or failpoints.armed() or (header := self.plans.header(held.stored)) is None:
            return None
        plan = header.plan
        is_quick = plan.in_thread and plan.breaker.is_calm and plan.handler.tempo.is_quick
        return Planned(held, header) if is_quick else None

    async def go(self, first: Planned, nursery: trio.Nursery) -> Held | Begun | None:
        """Have this job run by a thread with those that follow it in the backlog and are quick.

        Args:
          first: Taken out of the backlog.
          nursery: The thread is waited for in it.

        Returns:
          A claim whose handler wasn't started; a run that isn't done; None: there is nothing to
          be done about these.

        Cancellation: a run that has begun is returned all the same; who waits for it is told again.
        """
        held, jobs = first.held, self._with_others(first)
        if (hand := self._open) is not None and hand.by is held.by and hand.add(jobs):
            return None
        # A single one is through sooner where there is nothing around it.
        if len(jobs) == 1:
            return held
        if (hand := self._made(held.by, jobs)) is None:
            self.backlog.put_back([job.held for job in jobs][1:], trio.current_time())
            return held
        nursery.start_soon(hand.live)
        try:
            while not (hand.over.is_set() or hand.is_in_it_for(MOMENT_S)):
                await hand.news(MOMENT_S)
                self._settle(hand)
        except trio.Cancelled:
            pass
        finally:
            left = self._ended(hand)
        if left is None:
            await trio.lowlevel.checkpoint_if_cancelled()
        return left

    def _with_others(self, first: Planned) -> deque[Planned]:
        jobs, taken = self.backlog.jobs, deque([first])
        while jobs and jobs[0].by is first.held.by and (planned := self.quick(jobs[0])) is not None:
            jobs.popleft()
            taken.append(planned)
        return taken

    def _made(self, by: Claimer, jobs: deque[Planned]) -> Hand | None:
        """The hand that more is put into from now on; None: there is no place for a thread."""
        clock = trio.lowlevel.current_clock().current_time
        try:
            place = ThreadPlace(self.threads)
        except trio.WouldBlock:
            return None
        token = trio.lowlevel.current_trio_token()
        hand = self._open = Hand(by, jobs, place, copy_context(), clock, token, clock())
        self.backlog.lent.append(hand)
        self.runs.hand_begins(by)
        return hand

    def _ended(self, hand: Hand) -> Held | Begun | None:
        """Nothing more is run in it, but for what the thread is in the middle of."""
        hand.close()
        if self._open is hand:
            self._open = None
        self.backlog.lent.remove(hand)
        behind = hand.take_back()
        try:
            self._settle(hand)
            if (job := hand.job) is not None:
                if not hand.over.is_set():
                    job.plan.handler.tempo.runs_at_least(hand.clock() - hand.began)
                return Begun(job, hand.began, hand.rest, hand.permit)
            if behind and hand.over.is_set():
                return behind.pop(0)  # the thread has stopped at it, or couldn't be started
            return None
        finally:
            self.backlog.put_back(behind, hand.began)
            self.runs.hand_ended(hand.by)

    def _settle(self, hand: Hand) -> None:
        """Say of all that is simply done that it is."""
        if not (done := hand.done()):
            return
        times_s: dict[Function, list[float]] = {}
        for _, header, took_s, *_ in done:
            times_s.setdefault(header.plan.handler, []).append(took_s)
        for handler, its in times_s.items():
            handler.tempo.ran(sum(its) / len(its), len(its))
        self.teller.tell(done, hand.by)
