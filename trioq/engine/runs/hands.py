"""Runs quick and short ``def`` handlers job after job in threads, as long as they are that.

To have a thread run a job and to hear of its end costs several times what a tiny job does, and
threads that all want to compute take the interpreter from each other. So as long as they are quick
one thread runs them, and the loop hears of many at once. Who comes with more puts it on the same
pile. A job that takes longer than a moment is a run like any other from there on, and what is
behind it goes to others at once.

Those that wait for something, for some milliseconds, have a thread for each worker. With thousands
of them a second the loop would do nothing but send threads off and hear of them. So these threads
take one after the other from a pile, too, and the loop looks after them now and then. What takes
longer has a thread for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
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
from trioq.engine.runs.pile import Pile
from trioq.engine.runs.plan import Planned, Plans
from trioq.engine.runs.run import Runs
from trioq.engine.runs.spree import Begun

#: A quick job that takes longer is a run by itself, and a short one that takes as long as that.
MOMENT_S = 0.003
LONG_S = 0.1

#: How often the loop looks after the threads that run short ones.
LOOK_S = 0.002


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
    _quick: Pile | None = attrs.field(default=None, init=False)
    """Where more quick jobs are put."""
    _short: Pile | None = attrs.field(default=None, init=False)
    """Where more short ones are."""

    def fits(self, held: Held) -> Planned | None:
        """A job that is best run in a row with others; None: it isn't."""
        if self.is_off or failpoints.armed() or (header := self.plans.header(held.stored)) is None:
            return None
        plan = header.plan
        fits = plan.in_thread and plan.breaker.is_calm and not plan.handler.tempo.is_long
        return Planned(held, header) if fits else None

    async def go(self, first: Planned, nursery: trio.Nursery) -> Held | Begun | None:
        """Have this job run by a thread with those that follow it in the backlog and are alike.

        Args:
          first: Taken out of the backlog.
          nursery: The thread is waited for in it.

        Returns:
          A claim whose handler wasn't started; a run that isn't done; None: there is nothing to
          be done about these.

        Cancellation: a run that has begun is returned all the same; who waits for it is told again.
        """
        held, is_quick = first.held, first.plan.handler.tempo.is_quick
        jobs = deque([first, *self._next(held.by, is_quick=is_quick)])
        pile = self._quick if is_quick else self._short
        if pile is not None and (pile.by is not held.by or not pile.add(jobs)):
            pile = None
        if pile is not None and is_quick:
            return None
        # A single one is through sooner where there is nothing around it.
        if pile is None and len(jobs) == 1:
            return held
        try:
            place = ThreadPlace(self.threads)
        except trio.WouldBlock:
            if pile is not None:
                return None
            self.backlog.put_back([job.held for job in jobs][1:])
            return held
        if is_quick:
            pile = self._quick = Pile(held.by, jobs)
        elif pile is None:
            pile = self._short = Pile(held.by, jobs, is_shared=True)
            nursery.start_soon(self._look_after, pile)
        left = await self._work(pile, place, nursery)
        if left is None:
            await trio.lowlevel.checkpoint_if_cancelled()
        return left

    def _next(self, by: Claimer, *, is_quick: bool) -> Iterator[Planned]:
        """Take out of the backlog what comes next there, as long as it is alike."""
        jobs = self.backlog.jobs
        while jobs and jobs[0].by is by and (planned := self.fits(jobs[0])) is not None:
            if planned.plan.handler.tempo.is_quick is not is_quick:
                break
            jobs.popleft()
            yield planned

    async def _work(
        self, pile: Pile, place: ThreadPlace, nursery: trio.Nursery
    ) -> Held | Begun | None:
        """Have one more thread take from this pile, as long as what it runs isn't long."""
        hand = self._begin(pile, place, nursery)
        try:
            if pile.is_shared:
                while not (hand.over.is_set() or hand.is_in_it_for(LONG_S)):
                    await hand.called()
            else:
                while not (hand.over.is_set() or hand.is_in_it_for(MOMENT_S)):
                    await hand.news(MOMENT_S)
                    self._tell(pile)
        except trio.Cancelled:
            pass
        finally:
            left = self._ended(hand)
        return left

    async def _look_after(self, pile: Pile) -> None:
        """Tell what its threads have done, give them more, have workers come that are free, and
        find those that are in it for long.

        Cancellation: whoever waits for one of the threads does what is left to do.
        """
        while True:
            await trio.sleep(LOOK_S)
            if not pile.hands:
                return
            self._tell(pile)
            self._feed(pile)
            for hand in pile.hands:
                if hand.is_in_it_for(LONG_S):
                    hand.call()

    def _feed(self, pile: Pile) -> None:
        jobs = self.backlog.jobs
        before = len(jobs)
        if self._short is pile:
            pile.add(self._next(pile.by, is_quick=False))
        if len(jobs) < before:
            self.backlog.taken()
        # A worker that is free comes for the first one, with one more thread.
        if len(pile.hands) < self.threads.total_tokens and (held := pile.take_first()):
            self.backlog.put_back([held])

    def _begin(self, pile: Pile, place: ThreadPlace, nursery: trio.Nursery) -> Hand:
        clock = trio.lowlevel.current_clock().current_time
        token = trio.lowlevel.current_trio_token()
        hand = Hand(pile, place, copy_context(), clock, token, clock())
        if not pile.hands:
            self.backlog.lent.append(pile)
        pile.hands.append(hand)
        self.runs.hand_begins(pile.by)
        nursery.start_soon(hand.live)
        return hand

    def _ended(self, hand: Hand) -> Held | Begun | None:
        """Its thread begins nothing more."""
        hand.close()
        pile, job, behind = hand.pile, hand.job, list[Held]()
        pile.hands.remove(hand)
        if not pile.hands:
            self.backlog.lent.remove(pile)
            self._quick = None if self._quick is pile else self._quick
            self._short = None if self._short is pile else self._short
        if not pile.hands or (job is None and hand.over.is_set()):
            behind = pile.take_back()
        try:
            self._tell(pile)
            if job is not None:
                if not hand.over.is_set():
                    job.plan.handler.tempo.runs_at_least(hand.clock() - hand.began)
                return Begun(job, hand.began, hand.rest, hand.permit)
            if behind and hand.over.is_set():
                return behind.pop(0)  # the thread has stopped at it, or couldn't be started
            return None
        finally:
            self.backlog.put_back(behind)
            self.runs.hand_ended(pile.by)

    def _tell(self, pile: Pile) -> None:
        """Say of all that is simply done that it is."""
        if not (done := pile.take_done()):
            return
        times_s: dict[Function, list[float]] = {}
        for _, header, took_s, *_ in done:
            times_s.setdefault(header.plan.handler, []).append(took_s)
        for handler, its in times_s.items():
            handler.tempo.ran(sum(its) / len(its), len(its))
        self.teller.tell(done, pile.by, alone=not pile.is_shared)
