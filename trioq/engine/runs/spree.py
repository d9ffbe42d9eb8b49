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
import math
from contextvars import copy_context

import attrs
import trio

from trioq import failpoints
from trioq.core.breaker import Permit
from trioq.core.current import running_job
from trioq.core.formats.payload import decode
from trioq.core.outcome import Succeeded
from trioq.core.settlements import Ack
from trioq.core.wants import WANTS, NothingLeft
from trioq.engine.backlog import Backlog
from trioq.engine.claim import Claimer, Held
from trioq.engine.handlers import Timebox
from trioq.engine.handlers.begun import Broken, Rest, Returned, Suspended
from trioq.engine.handlers.returned import PLAIN, is_finished
from trioq.engine.handlers.timebox import innermost
from trioq.engine.runs.done import Done, DoneTeller
from trioq.engine.runs.plan import Header, Plan, PlannedJob, Plans
from trioq.engine.tracer import Tracer
from trioq.errors import RecordUnreadable

_set_job = running_job.set
SUCCEEDED = Succeeded(None)

_NOWHERE = object()


@attrs.define(eq=False)
class Begun:
    """A run whose handler was started, and isn't simply done."""

    job: PlannedJob
    began: float
    """By trio's clock."""
    rest: Rest
    """What is to be run yet."""
    permit: Permit | None = None
    """By which it was begun; None: there is one to be had, as there was when it began."""


@attrs.define(eq=False)
class Spree:
    """One worker's."""

    backlog: Backlog
    plans: Plans
    teller: DoneTeller
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
        jobs, task, tracer = self.backlog.jobs, timebox.task, self.tracer
        clock, may_start = trio.lowlevel.current_clock().current_time, by.may_start
        is_off = self.is_off or failpoints.armed()
        now = self.now
        done: list[Done] = []
        header: Header | None = None
        plan: Plan | None = None
        line, size = b"", 0
        try:
            while jobs:
                held = jobs.popleft()
                if is_off or held.by is not by:
                    return held

                # Most say what the one before has said.
                stored = held.stored
                if header is None or not stored.startswith(line):
                    header = self.plans.header(stored)
                    if header is None:
                        return held
                    line, size = header.line, len(header.line)
                    if header.plan is not plan:
                        plan = header.plan
                        if plan.in_thread or plan.breaker.last_state != "closed":
                            return held
                        is_calm, takes_job, binding = (
                            plan.breaker.is_calm,
                            plan.takes_job,
                            plan.handler.binding,
                        )
                        function, fits = plan.handler.call, binding.fits
                        timeout_s, keep, kept_of = plan.timeout_s, plan.keep, plan.kept
                        box_until, place = -math.inf, _NOWHERE
                try:
                    content = decode(held.payload) if held.payload else decode(stored, size)
                except (RecordUnreadable, MemoryError):
                    return held

                # Nothing that takes long stands between this question and the handler.
                if not may_start():
                    return held
                if now > box_until:
                    timebox.of(timeout_s, now)
                    # Until then, the deadline of this one is late enough for others.
                    box_until = timebox.deadline - timeout_s
                    place = timebox.innermost or _NOWHERE
                span = trace = None
                if tracer is not None:
                    if held.attempt > 1:
                        return held  # its span is linked to the one before, which is looked for
                    span = tracer.run(
                        held.uid, header.plan.name, header.plan.queue, header.trace,
                        attempt=held.attempt, step=held.step, boot=by.boot,
                    )  # fmt: skip
                    trace = span.headers.get("traceparent")
                job = PlannedJob(held, header, content, span)
                context = copy_context()
                context.run(_set_job, job)
                try:
                    arguments = content if fits(content) else context.run(binding.bind, content)
                except MemoryError:
                    return Begun(job, now, Broken(NothingLeft(WANTS[errno.ENOMEM])))
                except BaseException as error:
                    return Begun(job, now, Broken(error))
                try:
                    coroutine = function(job(), **arguments) if takes_job else function(**arguments)
                    wanted = context.run(coroutine.send, None)
                except StopIteration as stop:
                    result = stop.value
                except BaseException as error:
                    return Begun(job, now, Broken(error))
                else:
                    return Begun(job, now, Suspended(coroutine, context, wanted))
                then = clock()
                # However long it took: who never waits isn't cancelled, and is done.
                is_result = id(type(result)) in PLAIN or context.run(is_finished, result)
                if not is_result or innermost(task) is not place:
                    return Begun(job, now, Returned(result, context))

                kept = None if result is None and keep is None else kept_of(result)
                done.append((held, header, then - now, then, trace, kept, job.board))
                now = then if kept is None else clock()
                if span is not None:
                    span.end(Ack(held.uid, held.step), SUCCEEDED)
                if not is_calm:
                    # A success can be what opens its breaker, and then the next mustn't begin.
                    self._tell(done, by)
                    header = plan = None
                if now >= until:
                    return None
        finally:
            self.now = clock()
            self.backlog.taken()
            self._tell(done, by)
        return None

    def _tell(self, done: list[Done], by: Claimer) -> None:
        """Say that these are done, and forget them."""
        if done:
            told = done.copy()
            done.clear()
            self.teller.tell(told, by)
