"""Starts a handler with all care: with its payload, its span, its runner, and in time.

What the engine wants to be around every handler (a note-taker, say) goes into :meth:`Start.call`,
which alone calls one, and into :meth:`Start.go_on` for those that were started by hand. What an app
has around its handlers is part of them: :mod:`trioq.engine.handlers.around`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

import attrs
import trio

from trioq.core.deadline import limit, too_late
from trioq.core.events import JobStarted
from trioq.core.formats import payload
from trioq.core.job import Job, Record
from trioq.core.outcome import LateReason, Outcome, TooLate
from trioq.core.wall import wall_ms
from trioq.engine.handlers import Apart, Timebox, invoke
from trioq.engine.handlers.begun import InThread, Rest, Suspended
from trioq.engine.handlers.invoke import Runnable, go_on
from trioq.engine.runs.plan import Header
from trioq.engine.runs.run import INTERRUPTED, Run
from trioq.engine.runs.shop import Shop


@attrs.frozen
class Start:
    """One worker's.

    Args:
      timebox: Around each handler.
    """

    shop: Shop
    timebox: Timebox

    async def outcome(self, run: Run) -> Outcome:
        """Run the handler of a run that has been admitted; how it ended.

        Raises:
          RecordUnreadable: Its payload isn't a JSON object.

        Cancellation: the handler is cancelled; see :func:`~trioq.engine.handlers.invoke.invoke`.
        """
        shop, claim, record = self.shop, run.claim, run.stored.record
        if shop.tracer is not None:
            run.span = shop.tracer.run(
                record.uid, record.name, record.queue, record.trace,
                attempt=claim.attempt, step=claim.step, boot=claim.by.boot,
            )  # fmt: skip
        content = claim.payload or record.payload
        if run.stored.payload_is_big:
            self.timebox.rest()
            content = await claim.by.fetch.payload(claim.uid)
            run.began = trio.current_time()  # what it waits for isn't its handler's time
        if run.span is not None and claim.attempt > 1 and run.span.is_recorded:
            self.timebox.rest()
            if before := await claim.by.fetch.trace_before(claim.uid):
                run.span.link(before)
        run.job = job = Job(
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
        if (shared := run.handler.shared) is not None:
            job._share(shared)
        if isinstance(run.handler, Apart):
            return await self._outcome_apart(run, run.handler, job)
        if (hindered := _hindered(run)) is not None:
            return hindered
        return await self.call(run, run.handler, job)

    async def _outcome_apart(self, run: Run, handler: Apart, job: Job) -> Outcome:
        """Likewise, in a runner, when one is free."""
        self.timebox.rest()
        keep = self.shop.rules.result_of(handler, run.stored.record)
        async with handler.runners.lent(lambda: self._timeout_of(run), keep) as lent:
            if (hindered := _hindered(run)) is not None:
                run.limit = None  # it hasn't begun
                return hindered
            run.began = trio.current_time()
            return await self.call(run, lent, job)

    def call(self, run: Run, handler: Runnable, job: Job) -> Awaitable[Outcome]:
        """Call the handler."""
        record = run.stored.record
        self.shop.report(
            JobStarted(
                job.uid, job.name, job.queue, job.attempt,
                job.enqueued_ms, record.wanted_ms, run.claim.suspect,
            )
        )  # fmt: skip
        return invoke(
            handler,
            job,
            timeout_s=self._timeout_of(run),
            timebox=self.timebox,
            threads=self.shop.threads,
            grace=run,
            errors=run.handler.errors,
        )

    def go_on(self, run: Run, header: Header, rest: Rest) -> Awaitable[Outcome]:
        """Go on with a handler that was started by hand, and has waited."""
        assert not isinstance(rest, Suspended), "it waits"
        plan = header.plan
        call = partial(rest.run, run) if isinstance(rest, InThread) else rest.run
        return go_on(call, plan.timeout_s, self.timebox, run.began, plan.handler.errors)

    def _timeout_of(self, run: Run) -> float:
        """What a run may take that begins now."""
        record = run.stored.record
        timeout_s = self.shop.rules.timeout_of(run.handler, record)
        if record.options.deadline_ms is None:
            return timeout_s
        run.limit = limit(timeout_s, record.options, wall_ms())
        return run.limit.timeout_s


def _hindered(run: Run) -> Outcome | None:
    """What keeps a handler from being started at this moment. Nothing is awaited in between."""
    if not run.claim.by.may_start():
        # The process was stopped, say, or its payload was long in coming: another engine may have
        # the job by now.
        return INTERRUPTED
    late = late_by_now(run.stored.record)
    return None if late is None else TooLate(late)


def late_by_now(record: Record) -> LateReason | None:
    """Why its handler may not be started any more; None: it may."""
    return too_late(record.options, wall_ms()) if record.options.has_limits else None
