"""Runs what doesn't wait: job after job in one go, until one waits or needs more care.

Most of what a tiny job costs is not its handler but what is around it: a coroutine that awaits
a coroutine, a cancel scope, values that are made to be looked at by nobody. Here a handler is
started by hand. One that returns without having waited is done, and what is to be said of it is
said for all of them at the end. Anything else (it waits, it raised, it left something open) goes
on where every run goes on, from where it is: see :mod:`trioq.engine.runs.worker`. So it depends
on how a job ends whether it was quick, and nothing that it does depends on whether it was.
"""

from __future__ import annotations

import errno
import json
import math
import time
from contextvars import copy_context

import attrs
import trio

from trioq import failpoints
from trioq.core.breaker import Permit
from trioq.core.events import JobsSucceeded, Quick, Report
from trioq.core.formats import payload
from trioq.core.job import Job, Record
from trioq.core.outcome import Succeeded
from trioq.core.settlements import Ack
from trioq.core.wants import WANTS, NothingLeft
from trioq.engine.backlog import Backlog
from trioq.engine.claim import Claimer, Held
from trioq.engine.handlers import Timebox
from trioq.engine.handlers.begun import Broken, Returned, Suspended
from trioq.engine.handlers.function import running_job
from trioq.engine.handlers.invoke import Runnable
from trioq.engine.handlers.returned import PLAIN
from trioq.engine.handlers.timebox import innermost
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.plan import Plan, PlannedJob, Plans
from trioq.engine.snapshot import Recent
from trioq.engine.tracer import RunSpan, Tracer
from trioq.errors import RecordUnreadable

_set_job = running_job.set
SUCCEEDED = Succeeded(None)

_NOWHERE = object()
_quoted = json.encoder.encode_basestring_ascii


@attrs.frozen(eq=False)
class Begun:
    """A run whose handler was started, and isn't simply done."""

    held: Held
    record: Record
    job: Job
    began: float
    """By trio's clock."""
    rest: Runnable
    """What is to be run yet."""
    span: RunSpan | None
    permit: Permit | None = None
    """By which it was begun; None: there is one to be had, as there was when it began."""


@attrs.define(eq=False)
class Runs:
    """Quick ones of one plan, of which is to be told."""

    told: list[Quick] = attrs.field(factory=list[Quick])
    are_plain: bool = True


@attrs.define(eq=False)
class Spree:
    """One worker's."""

    backlog: Backlog
    plans: Plans
    breakers: Breakers
    report: Report
    recent: Recent
    tracer: Tracer | None
    is_off: bool = False
    """Whether each run shall be run by itself."""
    now: float = attrs.field(default=0.0, init=False)
    """A moment ago, by trio's clock: to ask isn't cheap, where jobs are tiny."""

    # A real Ctrl-C is the engine's to handle, not a handler's.
    @trio.lowlevel.enable_ki_protection
    def go(self, by: Claimer, timebox: Timebox, until: float) -> Held | Begun | None:
        """Run jobs of this boot, one at least, until that time or the first that needs more.

        Returns:
          A claim whose handler wasn't started, or a run that isn't done; None: the time is over,
          or there is nothing more.

        What it raises is no handler's but a listener's, say. Then the engine ends, and signing
        off gives back what it has in its hand.
        """
        jobs, plans = self.backlog.jobs, self.plans
        by_start, may_start, task = plans.by_start, by.may_start, timebox.task
        clock, tracer = trio.lowlevel.current_clock().current_time, self.tracer
        done: dict[Plan, Runs] = {}
        acks: list[Ack] = []
        began = taken_at = now = self.now
        wall = time.time() - now
        tail = f',"engine":{_quoted(by.boot)}'
        is_on = not (self.is_off or failpoints.armed())
        last: Plan | None = None
        runs: Runs | None = None
        box_until, place = -math.inf, _NOWHERE
        try:
            while jobs:
                held = jobs.popleft()
                taken_at = now
                if held.by is not by or not is_on:
                    return held
                stored = held.stored
                end = stored.find(b"}\n")
                at = stored[end - 13 : end]
                plan, record = by_start.get(stored[: end - 13]), None
                if plan is not None and at.isdigit():
                    enqueued_ms = wanted_ms = int(at)
                    encoded = stored[end + 2 :]
                elif (found := plans.find(held)) is not None:
                    plan, record = found
                    enqueued_ms, wanted_ms = record.enqueued_ms, record.wanted_ms
                    encoded = record.payload
                else:
                    return held
                if tracer is not None:
                    if held.attempt > 1:
                        return held  # its span is linked to the one before, which is looked for
                    record = record or plan.record(held, encoded, enqueued_ms)
                if plan is not last:
                    if plan.in_thread or plan.breaker.last_state != "closed":
                        return held
                    last, box_until = plan, -math.inf
                    takes_job, binding = plan.takes_job, plan.handler.binding
                    function, fits = plan.handler.function, binding.fits
                    runs = done.get(plan)
                    if runs is None and plan.breaker.is_calm:
                        runs = done[plan] = Runs()
                try:
                    content = payload.decode(held.payload or encoded)
                except (RecordUnreadable, MemoryError):
                    return held
                # Nothing that takes long stands between this question and the handler.
                if not may_start():
                    return held
                if now > box_until:
                    timebox.of(plan.timeout_s, now)
                    # Until then, the deadline of this one is late enough for others.
                    box_until = timebox.deadline - plan.timeout_s
                    place = timebox.innermost or _NOWHERE
                span = None
                if tracer is not None and record is not None:
                    span = tracer.run(
                        record, attempt=held.attempt, step=held.step, boot=by.boot
                    )  # fmt: skip
                job = PlannedJob(held, plan, content, enqueued_ms, record, span)
                context = copy_context()
                context.run(_set_job, job)
                try:
                    arguments = content if fits(content) else context.run(binding.bind, content)
                except MemoryError:
                    return _begun(job, encoded, now, Broken(NothingLeft(WANTS[errno.ENOMEM])))
                except BaseException as error:
                    return _begun(job, encoded, now, Broken(error))
                try:
                    coroutine = function(job(), **arguments) if takes_job else function(**arguments)
                    wanted = context.run(coroutine.send, None)
                except StopIteration as stop:
                    result = stop.value
                except BaseException as error:
                    return _begun(job, encoded, now, Broken(error))
                else:
                    return _begun(job, encoded, now, Suspended(coroutine, context, wanted))
                then = clock()
                took_s = then - now
                # However long it took: who never waits isn't cancelled, and is done.
                if id(type(result)) not in PLAIN or innermost(task) is not place:
                    return _begun(job, encoded, now, Returned(result, context))
                ended_at = wall + then
                more = "" if record is None else _more_of(record, span)
                summary = (
                    f'{{"uid":{_quoted(held.uid)}{plan.of_summary}{held.attempt},"took_ms":'
                    f'{took_s * 1000:.3f},"at_ms":{int(ended_at * 1000)},'
                    f'"enqueued_ms":{enqueued_ms}{tail}{more}}}'
                )
                ack = Ack(held.uid, held.step, summary.encode("ascii"))
                acks.append(ack)
                if span is not None:
                    span.end(ack, SUCCEEDED)
                now = then
                run = (
                    held.uid, held.attempt, held.suspect, enqueued_ms, wanted_ms, took_s, ended_at
                )  # fmt: skip
                if runs is None:
                    # A success can be what opens its breaker, and then the next one mustn't begin.
                    self._tell(plan, Runs([run], are_plain=False), now)
                    last = None
                else:
                    runs.told.append(run)
                    if held.attempt > 1 or held.suspect or wanted_ms != enqueued_ms:
                        runs.are_plain = False
                if now >= until:
                    return None
        finally:
            self.now = clock()
            self.backlog.taken(taken_at)
            if acks:
                by.settle_many(acks, took_s=(now - began) / len(acks))
            for plan, runs in done.items():
                if runs.told:
                    self._tell(plan, runs, now)
        return None

    def _tell(self, plan: Plan, runs: Runs, now: float) -> None:
        told = runs.told
        self.breakers.succeeded(plan.name, len(told), now)
        self.recent.done[plan.queue] += len(told)
        self.report(JobsSucceeded(plan.name, plan.queue, told, runs.are_plain))


def _begun(job: PlannedJob, encoded: bytes, began: float, rest: Runnable) -> Begun:
    record = job.record or job.plan.record(job.held, encoded, job.enqueued_ms)
    return Begun(job.held, record, job(), began, rest, job.span)


def _more_of(record: Record, span: RunSpan | None) -> str:
    """What a summary says besides."""
    more = "" if record.id is None else f',"id":{_quoted(record.id)}'
    if span is not None and (trace := span.headers.get("traceparent")) is not None:
        more += f',"trace":{_quoted(trace)}'
    return more
