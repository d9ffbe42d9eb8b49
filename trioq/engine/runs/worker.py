"""Runs one job at a time, from the claim to the settlement.

    decode ▶ find the handler ▶ permit ▶ payload ▶ run ▶ decide ▶ settle ▶ tell
    └──────── _admitted ──────┘         └─ Start ───┘ └ end_of ┘ └──── Teller ────┘

Each step takes what is known of the run so far (:mod:`trioq.engine.runs.run`) and adds to it.
Whatever way a handler ends, its claim is settled exactly once; and if the engine is gone
before that, the reaper sees to it.

A handler that waits goes on here, and if it simply returns in the end it's done, as one that
:mod:`trioq.engine.runs.spree` has run; what is to be said of it is said with others. All else goes
the long way, from where it is.

What wants to know of ends goes into the Teller; who has something to say to a run finds it in the
Runs.
"""

from __future__ import annotations

import random
from contextlib import closing

import trio

from trioq.core.board import Board
from trioq.core.breaker import Permit
from trioq.core.formats.record import Stored, decode
from trioq.core.outcome import Error, Failed, Starved, Succeeded
from trioq.core.wall import wall_ms
from trioq.engine.claim import Claimer, Held
from trioq.engine.handlers import Apart, Command, Function, Handler, Place, Timebox, place
from trioq.engine.handlers.begun import Broken, InThread, Rest, Returned, Suspended
from trioq.engine.handlers.returned import PLAIN, is_finished
from trioq.engine.runs import failures
from trioq.engine.runs.patience import Patience
from trioq.engine.runs.run import INTERRUPTED, Run
from trioq.engine.runs.settle import (
    End,
    called_off,
    cancelled,
    end_of,
    parked,
    released,
    unreadable,
)
from trioq.engine.runs.shop import Shop
from trioq.engine.runs.spree import SUCCEEDED, Begun
from trioq.engine.runs.start import Start, late_by_now
from trioq.errors import RecordUnreadable
from trioq.failpoints import failpoint

#: What runs outside of the loop.
ELSEWHERE = InThread, Apart, Command


class Worker:
    """One of them.

    Args:
      number: From 0; for log lines.
    """

    def __init__(self, number: int, shop: Shop) -> None:
        self._number = number
        self._shop = shop
        self._by: Claimer | None = None
        """Who claimed the last job that it ran."""
        self._spree = shop.spree()
        self._patience: Patience
        """Once it runs."""

    async def run(self) -> None:
        """Run jobs until the backlog closes.

        Cancellation: the handler is cancelled and its job released.
        """
        async with trio.open_nursery() as beside:
            self._patience = self._shop.patience(beside)
            while await self._run_until_cancelled(beside):
                # That may not have been the only reason why: no job begins in a worker that ends.
                await trio.lowlevel.checkpoint_if_cancelled()

    async def _run_until_cancelled(self, beside: trio.Nursery) -> bool:
        """Run jobs in one cancel scope, until a run was cancelled.

        A scope for each run would cost as much as all else that a tiny job needs.

        Returns:
          False: the backlog is closed.
        """
        shop, turn, spree = self._shop, self._shop.turn, self._spree
        backlog = shop.backlog
        with trio.CancelScope() as scope, closing(Timebox()) as timebox:
            start = Start(shop, timebox)
            while True:
                number = turn.number
                if not backlog.jobs:
                    timebox.rest()
                    if not await backlog.wait():
                        return False
                    turn.ended(number)
                    spree.now = trio.current_time()
                elif (left_s := turn.left_s) <= 0:
                    timebox.rest()
                    await backlog.rest()
                    turn.ended(number)
                    spree.now = trio.current_time()
                else:
                    began, by = spree.now, backlog.jobs[0].by
                    self._here(by)
                    left = spree.go(by, timebox, began + left_s)
                    turn.spent_s += spree.now - began
                    if isinstance(left, Held) and (planned := shop.hands.fits(left)):
                        timebox.rest()
                        left = await shop.hands.go(planned, beside)
                        turn.ended(number)
                        spree.now = trio.current_time()
                    if shop.aside and isinstance(left, Held) and shop.aside.takes(left):
                        left = None
                    run = None
                    if isinstance(left, Begun):
                        run = self._begin(left, scope)
                        if isinstance(left.rest, Suspended):
                            left = await self._waited(run, left, left.rest, timebox)
                    if left is not None and await self._run_and_settle(left, run, scope, start):
                        break
                    left = planned = run = None  # nobody keeps a payload while waiting for a job
        return True

    def _here(self, by: Claimer) -> None:
        """Have all that the next jobs start inherit where they run."""
        if by is not self._by:
            self._by = by
            place.set(Place(by.boot, self._number))

    # -- handlers that were started by hand ------------------------------------------------

    def _begin(self, begun: Begun, scope: trio.CancelScope) -> Run:
        """Make it a run, which others see."""
        job, by, runs = begun.job, begun.job.held.by, self._shop.runs
        plan = job.plan
        self._shop.ends.begins(job, self._number, begun.began)
        # The door of its name was open when it began, and nothing but an end can have shut it.
        permit = begun.permit or Permit(plan.breaker.generation)
        run = Run(
            job.held, plan.handler, permit, begun.began, scope, self._patience,
            span=job.span, job=job,
        )  # fmt: skip
        runs.add(run)
        if not by.may_start():
            runs.lease_ended(by)  # it was told before this one was seen
        return run

    # A real Ctrl-C is the engine's to handle, not a handler's.
    @trio.lowlevel.enable_ki_protection
    async def _waited(
        self, run: Run, begun: Begun, rest: Suspended, timebox: Timebox
    ) -> Begun | None:
        """Have one go on that waits, as far as it goes.

        Returns:
          None: it's simply done, and will be told of; else what is left.
        """
        ends = self._shop.ends
        left: Rest | None = None
        try:
            returned = await rest.returned()
        except BaseException as error:
            left = Broken(error)
        self._spree.now = now = timebox.clock()
        if left is None:
            is_result = id(type(returned)) in PLAIN or rest.context.run(is_finished, returned)
            if is_result and not run.is_to_end and timebox.is_fine(now):
                run.outcome = SUCCEEDED if returned is None else Succeeded(returned)
                if ends.takes(run, begun.job):
                    self._over(run, now)
                    ends.join(run, begun.job, self._number, now)
                    return None
            left = Returned(returned, rest.context)
        return Begun(begun.job, begun.began, left, begun.permit)

    # -- the long way ----------------------------------------------------------------------

    async def _run_and_settle(
        self, left: Held | Begun, run: Run | None, scope: trio.CancelScope, start: Start
    ) -> bool:
        """Returns whether the run was cancelled, and with it the scope.

        Args:
          run: Of one that has begun.
        """
        shop = self._shop
        begun, held = (left, left.job.held) if isinstance(left, Begun) else (None, left)
        stored: Stored | None = None
        end: End | None = None
        try:
            if run is None:
                stored = decode(held.uid, held.stored)
                admitted = self._admitted(held, stored, scope)
                if isinstance(admitted, Run):
                    run = admitted
                    failpoint("job", "before")
                    shop.runs.add(run)
                else:
                    end = admitted
            if run is not None:
                await self._go(run, begun, start)
                if not run.is_told:
                    again = shop.rules.retry_of(run.handler, run.stored.record)
                    keep = shop.rules.result_of(run.handler, run.stored.record)
                    now_ms = wall_ms()
                    end = end_of(run, again, keep, now_ms=now_ms, random=random.random())
        except RecordUnreadable as error:
            told = Error("RecordUnreadable", str(error))
            end = unreadable(held, stored, told, now_ms=wall_ms())
            if run is not None:
                run.outcome = Failed(told, permanent="undecodable")
        finally:
            if run is None or not run.is_told:
                known = stored if run is None else run.stored
                if run is not None and run.was_stopped:
                    keep = shop.rules.result_of(run.handler, run.stored.record)
                    end = cancelled(run, "stopped", keep, now_ms=wall_ms())
                shop.teller.tell(held, run, end or released(held, known))
            if shop.aside is not None:
                shop.aside.recall()
        if run is not None and run.handler.errors.kept and end is not None:
            await failures.tell(run, end, shop.threads)
            self._spree.now = trio.current_time()
        return run is not None and run.is_to_end

    def _admitted(self, held: Held, stored: Stored, scope: trio.CancelScope) -> Run | End:
        """A run that may begin, or what becomes of the job instead."""
        shop, record, began = self._shop, stored.record, self._spree.now
        handler = shop.handlers.get(record.name)
        if (late := late_by_now(record)) is not None:
            keep = shop.rules.result_of(handler, record)
            return called_off(held, stored, late, keep, now_ms=wall_ms())
        permit = None if handler is None else shop.breakers.admit(record.name, began)
        if handler is None or permit is None:
            if record.queue not in shop.queues:
                raise RecordUnreadable(f"its queue is {record.queue!r}, but it isn't from there")
            return parked(held, stored, "breaker open" if handler else "unknown name")
        self._here(held.by)
        return Run(held, handler, permit, began, scope, self._patience, stored)

    async def _go(self, run: Run, begun: Begun | None, start: Start) -> None:
        """From the permit to the outcome."""
        shop = self._shop
        try:
            try:
                if begun is None:
                    outcome = await start.outcome(run)
                    run.outcome = outcome if run.limit is None else run.limit.judged(outcome)
                else:
                    run.outcome = await start.go_on(run, begun.job.header, begun.rest)
                if isinstance(run.outcome, Failed) and run.outcome.permanent == "bad_payload":
                    await self._judge(run, run.outcome, start.timebox)
            finally:
                is_over = isinstance(run.outcome, Succeeded) or run.asked is not None
                if not is_over and (board := run.board) is not None:
                    await self._note_last(run, board, start.timebox)
        finally:
            now = trio.current_time()
            if not _is_elsewhere(run.handler if begun is None else begun.rest):
                shop.turn.spent_s += now - self._spree.now  # as far as is known, nobody else ran
            self._spree.now = now
            if run.is_abandoned:
                self._patience.ended(run)
            else:
                self._over(run, now)
                if begun is not None and shop.ends.takes(run, begun.job):
                    shop.ends.join(run, begun.job, self._number, now)
                else:
                    self._ended(run, now)
        failpoint("job", "after")

    async def _judge(self, run: Run, failed: Failed, timebox: Timebox) -> None:
        """Its payload didn't fit; that of another engine's handler may take it."""
        record = run.stored.record
        if record.queue not in self._shop.queues:
            return
        timebox.rest()
        run.outcome = INTERRUPTED  # until that is known
        claim = run.claim
        run.outcome = await claim.by.judged(
            failed,
            record.name,
            record.queue,
            claim.behind,
            # An engine died with it, or its handler failed, which was called then.
            has_run=claim.suspect or claim.attempt > 1,
        )

    async def _note_last(self, run: Run, board: Board, timebox: Timebox) -> None:
        """What a run says that comes to nothing is for the next one."""
        timebox.rest()
        since = trio.current_time()
        await run.claim.by.last_note(run.claim, board)
        run.began += trio.current_time() - since  # that isn't its handler's time

    def _over(self, run: Run, now: float) -> None:
        """Nobody has anything to say to it any more."""
        self._shop.runs.remove(run)
        if run.given_up is not None:
            run.given_up.set()
        run.took_s = now - run.began

    def _ended(self, run: Run, now: float) -> None:
        """What an end means for those that come."""
        shop = self._shop
        shop.ends.tell()  # they were before this one
        verdict = run.verdict
        shop.breakers.record(run.stored.record.name, run.permit, verdict, now)
        if verdict == "ignored" and isinstance(run.outcome, Starved):
            shop.appetite.starved(run.outcome.want)


def _is_elsewhere(handler: Handler | Rest) -> bool:
    """Whether others surely run while it does: it runs outside of the loop."""
    if isinstance(handler, Function):
        return handler.is_elsewhere
    return isinstance(handler, ELSEWHERE)
