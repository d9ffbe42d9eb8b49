"""Runs one job at a time, from the claim to the settlement.

Whatever way a handler ends, its claim is settled exactly once; and if the engine is gone
before that, the reaper sees to it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Literal

import attrs
import trio

from trioq.core.breaker import Verdict
from trioq.core.events import (
    JobDied,
    JobFailed,
    JobParked,
    JobReleased,
    JobSnoozed,
    JobStarted,
    JobSucceeded,
    Report,
    RunStarved,
)
from trioq.core.formats import history, payload, summary
from trioq.core.formats.record import Stored, decode
from trioq.core.job import Job
from trioq.core.outcome import (
    DeadReason,
    Error,
    Failed,
    Interrupted,
    Outcome,
    Starved,
    Succeeded,
)
from trioq.core.retry import Ack as AckVerdict
from trioq.core.retry import Dead, Retry, RetryIn, decide
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt, Settlement
from trioq.engine.backlog import Backlog
from trioq.engine.bridge import Caller
from trioq.engine.claim import Held
from trioq.engine.handlers import Handler, Place, Timebox, invoke, place
from trioq.engine.outage import Outage
from trioq.engine.runs.breaker import Breakers
from trioq.engine.shard.boot import Boot
from trioq.engine.snapshot import Recent
from trioq.engine.tracer import RunSpan, Tracer
from trioq.errors import RecordUnreadable, StoreBusy, StoreUnreachable
from trioq.failpoints import failpoint

#: A worker with nothing but tiny jobs lets others run this often.
SLICE_S = 0.002

INTERRUPTED = Interrupted()

#: What may be spent on finding the span of the attempt before.
LINK_S = 0.25


@attrs.frozen
class Rules:
    """What holds for a job that doesn't say otherwise.

    The order is: option of the call, decorator, queue, ``[worker]``.
    """

    retry: Retry
    timeout_s: float
    queue_timeouts_s: Mapping[str, float]

    def retry_of(self, handler: Handler, stored: Stored) -> Retry:
        retry = handler.retry or self.retry
        wanted = stored.record.options.max_attempts
        return retry if wanted is None else attrs.evolve(retry, max_attempts=wanted)

    def timeout_of(self, handler: Handler, stored: Stored) -> float:
        for timeout_s in (
            stored.record.options.timeout_s,
            handler.timeout_s,
            self.queue_timeouts_s.get(stored.record.queue),
        ):
            if timeout_s is not None:
                return timeout_s
        return self.timeout_s


@attrs.define
class Workers:
    """What the workers of one boot share.

    Args:
      hold: Puts a scope under the lease: it's cancelled before anyone else may take the job.
    """

    boot: Boot
    backlog: Backlog
    handlers: Mapping[str, Handler]
    rules: Rules
    breakers: Breakers
    threads: trio.CapacityLimiter
    payloads: Caller
    outage: Outage
    queues: frozenset[str]
    settle: Callable[..., None]
    hold: Callable[[trio.CancelScope], None]
    let_go: Callable[[trio.CancelScope], None]
    report: Report
    recent: Recent
    tracer: Tracer | None = None
    running: int = 0
    """Handlers that run now."""

    async def work(self, number: int) -> None:
        """One worker: run jobs until the backlog closes.

        Cancellation: the handler is cancelled and its job released.
        """
        place.set(Place(self.boot.engine, number))
        now = trio.current_time()
        slice_ends = now + SLICE_S
        with closing(Timebox()) as timebox:
            while True:
                held = self.backlog.take_now(now)
                if held is None:
                    timebox.close()
                    held = await self.backlog.take()
                    now = trio.current_time()
                if held is None:
                    return
                now = await self._run_and_settle(held, timebox, now)
                if now >= slice_ends:
                    timebox.close()
                    await self.backlog.rest()
                    now = trio.current_time()
                    slice_ends = now + SLICE_S

    async def _run_and_settle(self, held: Held, timebox: Timebox, now: float) -> float:
        """Is told the time, and returns that at its end: to ask for it isn't cheap, where jobs
        are tiny."""
        settlement: Settlement | None = None
        outcome: Outcome = INTERRUPTED
        span: RunSpan | None = None
        took_s: float | None = None  # of a run: a job that wasn't run says nothing of runs
        try:
            held.job = stored = decode(held.uid, held.stored)
            name = stored.record.name
            handler = self.handlers.get(name)
            permit = self.breakers.admit(name, now) if handler else None
            if handler is None or permit is None:
                settlement = self._park(held, stored, known=handler is not None)
                return now
            failpoint("job", "before")
            started = now
            self.running += 1
            held.began = time.perf_counter()
            try:
                if self.tracer is not None:
                    span = self._trace(self.tracer, held, stored)
                outcome = await self._run(handler, held, stored, span, timebox)
            finally:
                self.running -= 1
                now = trio.current_time()
                took_s, held.began = now - started, None
                self.breakers.record(name, permit, _breaker_verdict(outcome), now)
            failpoint("job", "after")
            settlement = self._settle(outcome, handler, held, stored, took_s)
        except RecordUnreadable as error:
            outcome = Failed(Error("RecordUnreadable", str(error)), permanent="undecodable")
            settlement = self._undecodable(held, outcome.error)
        finally:
            if settlement is None:
                settlement = self._release(held)
            self.settle(settlement, took_s=took_s)
            if span is not None:
                span.end(settlement, outcome)
        return now

    def _release(self, held: Held) -> Release:
        if held.job is not None:
            record = held.job.record
            self.report(JobReleased(held.uid, record.name, record.queue, held.attempts + 1))
        return Release(held.uid, held.n)

    def _park(self, held: Held, stored: Stored, *, known: bool) -> Park:
        record = stored.record
        if record.queue not in self.queues:
            raise RecordUnreadable(f"its queue is {record.queue!r}, but it isn't from there")
        why: Literal["breaker open", "unknown name"] = "breaker open" if known else "unknown name"
        self.report(JobParked(held.uid, record.name, record.queue, why))
        return Park(held.uid, held.n, record.queue, record.name)

    def _trace(self, tracer: Tracer, held: Held, stored: Stored) -> RunSpan:
        span = tracer.run(
            stored.record, attempt=held.attempts + 1, n=held.n, engine=self.boot.engine
        )
        held.traceparent = span.headers.get("traceparent")
        return span

    async def _run(
        self,
        handler: Handler,
        held: Held,
        stored: Stored,
        span: RunSpan | None,
        timebox: Timebox,
    ) -> Outcome:
        record = stored.record
        content = record.payload
        if stored.payload_is_big:
            timebox.close()
            content = await self._big_payload(held)
        if span is not None and held.attempts and span.is_recorded:
            timebox.close()
            await self._link(span, held)
        job = Job(
            uid=held.uid,
            name=record.name,
            queue=record.queue,
            payload=payload.decode(content),
            attempt=held.attempts + 1,
            max_attempts=self.rules.retry_of(handler, stored).max_attempts,
            id=record.id,
            token=self.boot.token(held),
            enqueued_ms=record.enqueued_ms,
            trace=span.headers if span is not None else record.trace,
        )
        self.report(
            JobStarted(
                job.uid, job.name, job.queue, job.attempt,
                job.enqueued_ms, record.wanted_ms, held.suspect,
            )
        )  # fmt: skip
        timeout_s = self.rules.timeout_of(handler, stored)
        if handler.on_lease_loss == "continue":
            return await invoke(
                handler, job, timeout_s=timeout_s, timebox=timebox, threads=self.threads
            )
        timebox.close()
        with trio.CancelScope() as lease, closing(Timebox()) as inside:
            self.hold(lease)
            try:
                return await invoke(
                    handler, job, timeout_s=timeout_s, timebox=inside, threads=self.threads
                )
            finally:
                self.let_go(lease)
        return INTERRUPTED

    async def _big_payload(self, held: Held) -> bytes:
        while True:
            try:
                payload = await self.payloads.call(self.payloads.store.payload, held.uid)
            except (StoreUnreachable, StoreBusy) as error:
                await self.outage.failed("payload", error)
                continue
            self.outage.answered("payload")
            if payload is None:
                raise RecordUnreadable("its payload is gone")
            return payload

    async def _link(self, span: RunSpan, held: Held) -> None:
        """Link a run to the attempt before, which its history names; not at any price."""
        with trio.move_on_after(LINK_S):
            try:
                lines = await self.payloads.call(self.payloads.store.history, held.uid)
            except (StoreUnreachable, StoreBusy):
                return
            if before := history.last_trace(lines):
                span.link(before)

    def _settle(
        self, outcome: Outcome, handler: Handler, held: Held, stored: Stored, took_s: float
    ) -> Settlement:
        """What becomes of the job, decided by :func:`trioq.core.retry.decide`."""
        record, attempt = stored.record, held.attempts + 1
        who = (held.uid, record.name, record.queue)
        verdict = decide(
            outcome,
            attempt=attempt,
            retry=self.rules.retry_of(handler, stored),
            random=random.random(),
        )
        if isinstance(verdict, AckVerdict):
            self.recent.done[record.queue] += 1
            self.report(JobSucceeded(*who, attempt, took_s, record.wanted_ms))
            done = summary.encode(
                record,
                attempt=attempt,
                took_s=took_s,
                at_ms=time.time_ns() // 1_000_000,
                engine=self.boot.engine,
                trace=held.traceparent,
            )
            return Ack(held.uid, held.n, done)
        if isinstance(verdict, Dead):
            self.report(
                JobDied(*who, attempt, took_s, record.wanted_ms, verdict.reason, verdict.error)
            )
            then = f"dead: {verdict.reason}"
            self.recent.failed(*who, attempt=attempt, error=verdict.error, then=then)
            line = self._line(held, attempt, verdict.error, dead=verdict.reason)
            return DeadLetter(held.uid, held.n, attempt, verdict.reason, line)
        if isinstance(verdict, RetryIn):
            again_in_s = verdict.delay_ms / 1000
            if verdict.error is None:
                self.report(JobSnoozed(*who, attempt, again_in_s))
                return RetryAt(held.uid, held.n, verdict.delay_ms, held.attempts)
            self.report(JobFailed(*who, attempt, took_s, verdict.error, again_in_s))
            then = f"again in {again_in_s:.2g} s"
            self.recent.failed(*who, attempt=attempt, error=verdict.error, then=then)
            line = self._line(held, attempt, verdict.error)
            return RetryAt(held.uid, held.n, verdict.delay_ms, attempt, line)
        if isinstance(outcome, Starved):
            self.report(RunStarved(record.name, record.queue, outcome.want))
        return self._release(held)

    def _undecodable(self, held: Held, error: Error) -> DeadLetter:
        record, attempt = held.job.record if held.job else None, held.attempts + 1
        who = (held.uid, record.name, record.queue) if record else (held.uid, "", "")
        wanted_ms = record.wanted_ms if record else 0
        self.report(JobDied(*who, attempt, 0.0, wanted_ms, "undecodable", error))
        self.recent.failed(*who, attempt=attempt, error=error, then="dead: undecodable")
        line = self._line(held, attempt, error, dead="undecodable")
        return DeadLetter(held.uid, held.n, attempt, "undecodable", line)

    def _line(
        self, held: Held, attempt: int, error: Error, *, dead: DeadReason | None = None
    ) -> bytes:
        """One line of the job's history."""
        at_ms = time.time_ns() // 1_000_000
        return history.encode(
            history.Attempt(attempt, error, self.boot.engine, at_ms, dead, held.traceparent)
        )


def _breaker_verdict(outcome: Outcome) -> Verdict:
    """A breaker counts what the handler is to blame for.

    Not what is the job's own fault (a payload that doesn't fit, a handler that gave up on
    it), and not what the engine did.
    """
    if isinstance(outcome, Succeeded):
        return "success"
    if isinstance(outcome, Failed) and outcome.permanent is None:
        return "failure"
    return "ignored"
