"""Runs one job at a time, from the claim to the settlement.

    decode ▶ find the handler ▶ permit ▶ payload ▶ run ▶ decide ▶ settle ▶ tell
    └────────── _admitted ──────────┘ └─ _go ──────┘ └ end_of ┘ └──── Teller ────┘

Each step takes what is known of the run so far (:mod:`trioq.engine.runs.run`) and adds to it.
Whatever way a handler ends, its claim is settled exactly once; and if the engine is gone
before that, the reaper sees to it.

What wants to be around a handler (a middleware, a note-taker) goes into :meth:`Worker._call`,
which alone calls it; what wants to know of ends goes into the Teller; who has something to
say to a run finds it in the Runs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Mapping
from contextlib import closing
from functools import partial

import attrs
import trio

from trioq.core.board import Board
from trioq.core.breaker import Permit, Verdict
from trioq.core.deadline import limit, too_late
from trioq.core.events import JobStarted, Report
from trioq.core.formats import payload
from trioq.core.formats.record import Stored, decode
from trioq.core.job import Job, Record
from trioq.core.outcome import (
    Error,
    Failed,
    LateReason,
    Outcome,
    Starved,
    Succeeded,
    TooLate,
)
from trioq.engine.appetite import Appetite
from trioq.engine.backlog import Backlog
from trioq.engine.claim import Claimer, Held
from trioq.engine.handlers import Apart, Command, Function, Handler, Place, Timebox, invoke, place
from trioq.engine.handlers.begun import InThread, Rest, Suspended
from trioq.engine.handlers.invoke import Runnable, go_on
from trioq.engine.runs.aside import Aside
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.done import DoneTeller
from trioq.engine.runs.ends import Ends
from trioq.engine.runs.hands import Hands
from trioq.engine.runs.patience import Patience
from trioq.engine.runs.plan import Plans
from trioq.engine.runs.rules import Rules
from trioq.engine.runs.run import INTERRUPTED, Run, Runs
from trioq.engine.runs.settle import (
    End,
    Teller,
    called_off,
    cancelled,
    end_of,
    parked,
    released,
    unreadable,
)
from trioq.engine.runs.spree import Begun, Spree
from trioq.engine.tracer import Tracer
from trioq.errors import RecordUnreadable
from trioq.failpoints import failpoint

#: What waits already, or runs outside of the loop.
ELSEWHERE = Suspended, InThread, Apart, Command

#: Workers with nothing but tiny jobs let others run this often.
SLICE_S = 0.002


@attrs.define
class Turn:
    """What the workers of an engine have run since one of them last let others run.

    They share it: those whose handlers have waited for the same moment come back together, and
    with a turn for each of them, all else would wait for as many turns as there are workers.
    """

    number: int = attrs.field(default=0, init=False)
    spent_s: float = attrs.field(default=0.0, init=False)

    @property
    def left_s(self) -> float:
        """What a worker may run yet."""
        return SLICE_S - self.spent_s

    def ended(self, number: int) -> None:
        """Others have run since this one; another worker may have begun the next."""
        if self.number == number:
            self.number += 1
            self.spent_s = 0.0


@attrs.frozen(kw_only=True)
class Shop:
    """What the workers of an engine share."""

    backlog: Backlog
    runs: Runs
    handlers: Mapping[str, Handler]
    queues: frozenset[str]
    """Those that this engine claims from."""
    rules: Rules
    grace_s: float
    """What a handler has for its end, when somebody wants that."""
    breakers: Breakers
    appetite: Appetite
    aside: Aside | None
    threads: trio.CapacityLimiter
    teller: Teller
    done_teller: DoneTeller
    ends: Ends
    report: Report
    plans: Plans
    hands: Hands
    tracer: Tracer | None
    turn: Turn = attrs.field(factory=Turn, init=False)

    def spree(self) -> Spree:
        """For one worker."""
        return Spree(self.backlog, self.plans, self.done_teller, self.tracer)


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
        shop = self._shop
        async with trio.open_nursery() as beside:
            self._patience = Patience(
                beside,
                shop.grace_s,
                shop.rules,
                shop.runs,
                shop.breakers,
                shop.appetite,
                shop.teller,
            )
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
            while True:
                number = turn.number
                if not backlog.jobs:
                    timebox.close()
                    if not await backlog.wait():
                        return False
                    turn.ended(number)
                    spree.now = trio.current_time()
                elif turn.left_s <= 0:
                    timebox.close()
                    await backlog.rest()
                    turn.ended(number)
                    spree.now = trio.current_time()
                else:
                    began, by = spree.now, backlog.jobs[0].by
                    self._here(by)
                    left = spree.go(by, timebox, began + turn.left_s)
                    turn.spent_s += spree.now - began
                    if isinstance(left, Held) and (quick := shop.hands.quick(left)):
                        timebox.close()
                        left = await shop.hands.go(quick, beside)
                        turn.ended(number)
                        spree.now = trio.current_time()
                    if shop.aside and isinstance(left, Held) and shop.aside.takes(left):
                        left = None
                    if left is not None and await self._run_and_settle(left, scope, timebox):
                        break
                    left = quick = None  # nobody keeps a payload while waiting for the next job
        return True

    def _here(self, by: Claimer) -> None:
        """Have all that the next jobs start inherit where they run."""
        if by is not self._by:
            self._by = by
            place.set(Place(by.boot, self._number))

    async def _run_and_settle(
        self, left: Held | Begun, scope: trio.CancelScope, timebox: Timebox
    ) -> bool:
        """Returns whether the run was cancelled, and with it the scope."""
        shop = self._shop
        begun, held = (left, left.job.held) if isinstance(left, Begun) else (None, left)
        stored: Stored | None = None
        run: Run | None = None
        end: End | None = None
        try:
            if begun is None:
                stored = decode(held.uid, held.stored)
                admitted = self._admitted(held, stored, scope)
            else:
                admitted = self._run_of(begun, scope)
            if isinstance(admitted, Run):
                run = admitted
                await self._go(run, timebox, begun)
                if not run.is_told:
                    again = shop.rules.retry_of(run.handler, run.stored.record)
                    keep = shop.rules.result_of(run.handler, run.stored.record)
                    now_ms = time.time_ns() // 1_000_000
                    end = end_of(run, again, keep, now_ms=now_ms, random=random.random())
            else:
                end = admitted
        except RecordUnreadable as error:
            told = Error("RecordUnreadable", str(error))
            end = unreadable(held, stored, told, now_ms=time.time_ns() // 1_000_000)
            if run is not None:
                run.outcome = Failed(told, permanent="undecodable")
        finally:
            if run is None or not run.is_told:
                known = stored if run is None else run.stored
                if run is not None and run.was_stopped:
                    keep = shop.rules.result_of(run.handler, run.stored.record)
                    end = cancelled(run, "stopped", keep, now_ms=time.time_ns() // 1_000_000)
                shop.teller.tell(held, run, end or released(held, known))
            if shop.aside is not None:
                shop.aside.recall()
        return run is not None and run.is_to_end

    def _admitted(self, held: Held, stored: Stored, scope: trio.CancelScope) -> Run | End:
        """A run that may begin, or what becomes of the job instead."""
        shop, record, began = self._shop, stored.record, self._spree.now
        handler = shop.handlers.get(record.name)
        if (late := _late(record)) is not None:
            keep = shop.rules.result_of(handler, record)
            return called_off(held, stored, late, keep, now_ms=_epoch_ms())
        permit = None if handler is None else shop.breakers.admit(record.name, began)
        if handler is None or permit is None:
            if record.queue not in shop.queues:
                raise RecordUnreadable(f"its queue is {record.queue!r}, but it isn't from there")
            return parked(held, stored, "breaker open" if handler else "unknown name")
        return Run(held, handler, permit, began, scope, self._patience, stored)

    async def _go(self, run: Run, timebox: Timebox, begun: Begun | None) -> None:
        """From the permit to the outcome."""
        shop = self._shop
        failpoint("job", "before")
        shop.runs.add(run)
        if begun is not None and not run.claim.by.may_start():
            shop.runs.lease_ended(run.claim.by)  # it was told before this one was seen
        try:
            try:
                if begun is None:
                    outcome = await self._outcome(run, timebox)
                    run.outcome = outcome if run.limit is None else run.limit.judged(outcome)
                else:
                    run.outcome = await self._go_on(run, begun, timebox)
            finally:
                is_over = isinstance(run.outcome, Succeeded) or run.asked is not None
                if not is_over and (board := run.board) is not None:
                    await self._note_last(run, board, timebox)
        finally:
            now = trio.current_time()
            if not _waits(run.handler if begun is None else begun.rest):
                shop.turn.spent_s += now - self._spree.now  # as far as is known, nobody else ran
            self._spree.now = now
            if run.is_abandoned:
                self._patience.ended(run)
            else:
                shop.runs.remove(run)
                if run.given_up is not None:
                    run.given_up.set()
                run.took_s = now - run.began
                if begun is None or not shop.ends.join(run, begun.job, self._number, now):
                    self._ended(run, now)
        failpoint("job", "after")

    async def _note_last(self, run: Run, board: Board, timebox: Timebox) -> None:
        """What a run says that comes to nothing is for the next one."""
        timebox.close()
        since = trio.current_time()
        await run.claim.by.last_note(run.claim, board)
        run.began += trio.current_time() - since  # that isn't its handler's time

    def _ended(self, run: Run, now: float) -> None:
        """What an end means for those that come."""
        shop = self._shop
        shop.ends.tell()  # they were before this one
        verdict = "ignored" if run.was_stopped else _breaker_verdict(run.outcome)
        shop.breakers.record(run.stored.record.name, run.permit, verdict, now)
        if verdict == "ignored" and isinstance(run.outcome, Starved):
            shop.appetite.starved(run.outcome.want)

    async def _outcome(self, run: Run, timebox: Timebox) -> Outcome:
        shop, claim, record = self._shop, run.claim, run.stored.record
        self._here(claim.by)
        if shop.tracer is not None:
            run.span = shop.tracer.run(
                record.uid, record.name, record.queue, record.trace,
                attempt=claim.attempt, step=claim.step, boot=claim.by.boot,
            )  # fmt: skip
        content = claim.payload or record.payload
        if run.stored.payload_is_big:
            timebox.close()
            content = await claim.by.fetch.payload(claim.uid)
            run.began = trio.current_time()  # what it waits for isn't its handler's time
        if run.span is not None and claim.attempt > 1 and run.span.is_recorded:
            timebox.close()
            if before := await claim.by.fetch.trace_before(claim.uid):
                run.span.link(before)
        job = Job(
            uid=claim.uid,
            name=record.name,
            queue=record.queue,
            payload=payload.decode(content),
            attempt=claim.attempt,
            max_attempts=shop.rules.retry_of(run.handler, record).max_attempts,
            id=record.id,
            token=claim.token,
            enqueued_ms=record.enqueued_ms,
            trace=run.span.headers if run.span is not None else record.trace,
            deadline_ms=record.options.deadline_ms,
            noted=claim.noted,
        )
        run.job = job
        if isinstance(run.handler, Apart):
            return await self._outcome_apart(run, run.handler, job, timebox)
        if (hindered := _hindered(run)) is not None:
            return hindered
        return await self._start(run, run.handler, job, timebox)

    async def _outcome_apart(self, run: Run, handler: Apart, job: Job, timebox: Timebox) -> Outcome:
        """Likewise, in a runner, when one is free."""
        timebox.close()
        keep = self._shop.rules.result_of(handler, run.stored.record)
        async with handler.runners.lent(lambda: self._timeout_of(run), keep) as lent:
            if (hindered := _hindered(run)) is not None:
                run.limit = None  # it hasn't begun
                return hindered
            run.began = trio.current_time()
            return await self._start(run, lent, job, timebox)

    def _start(self, run: Run, handler: Runnable, job: Job, timebox: Timebox) -> Awaitable[Outcome]:
        """Call the handler: what is to be around it, is around this, and :meth:`_go_on`."""
        record = run.stored.record
        self._shop.report(
            JobStarted(
                job.uid, job.name, job.queue, job.attempt,
                job.enqueued_ms, record.wanted_ms, run.claim.suspect,
            )
        )  # fmt: skip
        return invoke(
            handler,
            job,
            timeout_s=self._timeout_of(run),
            timebox=timebox,
            threads=self._shop.threads,
            grace=run,
            errors=run.handler.errors,
        )

    def _timeout_of(self, run: Run) -> float:
        """What a run may take that begins now."""
        record = run.stored.record
        timeout_s = self._shop.rules.timeout_of(run.handler, record)
        if record.options.deadline_ms is None:
            return timeout_s
        run.limit = limit(timeout_s, record.options, _epoch_ms())
        return run.limit.timeout_s

    def _go_on(self, run: Run, begun: Begun, timebox: Timebox) -> Awaitable[Outcome]:
        """Go on with a handler that was started by hand."""
        claim, job, plan = run.claim, begun.job, begun.job.plan
        self._shop.report(
            JobStarted(
                claim.uid, plan.name, plan.queue, claim.attempt,
                job.header.enqueued_ms, job.header.wanted_ms, claim.suspect,
            )
        )  # fmt: skip
        rest = begun.rest
        call = partial(rest.run, run) if isinstance(rest, InThread) else rest.run
        return go_on(call, plan.timeout_s, timebox, begun.began, plan.handler.errors)

    def _run_of(self, begun: Begun, scope: trio.CancelScope) -> Run:
        """The door of its name was open when it began, and nothing but an end can have shut it."""
        job, plan = begun.job, begun.job.plan
        permit = begun.permit or Permit(plan.breaker.generation)
        return Run(
            job.held, plan.handler, permit, begun.began, scope, self._patience,
            span=job.span, job=job,
        )  # fmt: skip


def _hindered(run: Run) -> Outcome | None:
    """What keeps a handler from being started at this moment. Nothing is awaited in between."""
    if not run.claim.by.may_start():
        # The process was stopped, say, or its payload was long in coming: another engine may have
        # the job by now.
        return INTERRUPTED
    late = _late(run.stored.record)
    return None if late is None else TooLate(late)


def _late(record: Record) -> LateReason | None:
    return too_late(record.options, _epoch_ms()) if record.options.has_limits else None


def _epoch_ms() -> int:
    return time.time_ns() // 1_000_000


def _waits(handler: Runnable | Rest) -> bool:
    """Whether others surely run while it does: it waits already, or runs outside of the loop."""
    if isinstance(handler, Function):
        return not handler.is_async
    return isinstance(handler, ELSEWHERE)


def _breaker_verdict(outcome: Outcome) -> Verdict:
    """A breaker counts what isn't the job's own fault, and not what the engine did."""
    if isinstance(outcome, Succeeded):
        return "success"
    return "failure" if isinstance(outcome, Failed) and outcome.counts else "ignored"
