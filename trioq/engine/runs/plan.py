"""What is the same for many jobs, worked out once.

Most headers differ in nothing but the time of their enqueue. So what stands before that names a
plan: which handler, for how long, behind which breaker, and what its summary looks like. Of a
header that says more (an id, a timeout, a trace) all is read, and what it says names the plan.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs

from trioq.core.breaker import Breaker
from trioq.core.formats.record import decode
from trioq.core.job import NO_HEADERS, Job, Options, Record
from trioq.engine.claim import Held
from trioq.engine.handlers import Function, Handler
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.rules import Rules
from trioq.engine.tracer import RunSpan
from trioq.errors import RecordUnreadable

#: Plans that are known; more than any program has names.
PLANS = 512

_AT = b',"at":'
_quoted = json.encoder.encode_basestring_ascii


@attrs.define(eq=False)
class Plan:
    """How to run jobs of one name and queue, with options that are the same."""

    name: str
    queue: str
    handler: Function
    in_thread: bool
    """Whether it's a ``def`` handler."""
    takes_job: bool
    breaker: Breaker
    timeout_s: float
    options: Options
    """What the record asks for."""
    max_attempts: int
    of_summary: str
    """What stands between the uid and the attempt."""

    def record(self, held: Held, payload: bytes, enqueued_ms: int) -> Record:
        """That of a job that says nothing of its own."""
        return Record(
            held.uid, self.name, self.queue, payload, enqueued_ms=enqueued_ms, options=self.options
        )


Asked = tuple[str, str, int | None, float | None]
"""Name, queue, and what the record itself asks for: attempts, seconds."""


class Planned(NamedTuple):
    """A job with its plan."""

    held: Held
    plan: Plan
    payload: bytes
    enqueued_ms: int
    record: Record | None
    """None: it says nothing more."""


@attrs.define(eq=False)
class Plans:
    """Those of one engine."""

    handlers: Mapping[str, Handler]
    rules: Rules
    breakers: Breakers
    by_start: dict[bytes, Plan] = attrs.field(factory=dict[bytes, Plan], init=False)
    """By what a header has before its time, where it has nothing after it."""
    _by_asked: dict[Asked, Plan | None] = attrs.field(
        factory=dict[Asked, "Plan | None"], init=False
    )

    def planned(self, held: Held) -> Planned | None:
        """A job with its plan; None: it needs more care."""
        stored = held.stored
        end = stored.find(b"}\n")
        at = stored[end - 13 : end]
        plan = self.by_start.get(stored[: end - 13])
        if plan is not None and at.isdigit():
            return Planned(held, plan, stored[end + 2 :], int(at), None)
        if (found := self.find(held)) is None:
            return None
        plan, record = found
        return Planned(held, plan, record.payload, record.enqueued_ms, record)

    def find(self, held: Held) -> tuple[Plan, Record] | None:
        """The plan of a job, and its record; None: it needs more care."""
        try:
            stored = decode(held.uid, held.stored)
        except RecordUnreadable:
            return None
        record = stored.record
        plan = None if stored.payload_is_big else self._of(record)
        if plan is None:
            return None
        if record.id is None and not record.trace and not record.due_ms:
            # No string in JSON holds quotes like these: nothing but the time follows.
            start, at, time = held.stored.partition(b"\n")[0].rpartition(_AT)
            if at and time[:-1].isdigit():
                _make_room(self.by_start)
                self.by_start[start + at] = plan
        return plan, record

    def _of(self, record: Record) -> Plan | None:
        options = record.options
        asked = record.name, record.queue, options.max_attempts, options.timeout_s
        try:
            return self._by_asked[asked]
        except KeyError:
            _make_room(self._by_asked)
            plan = self._by_asked[asked] = self._made(record)
            return plan

    def _made(self, record: Record) -> Plan | None:
        handler = self.handlers.get(record.name)
        if not isinstance(handler, Function) or (handler.is_async and not handler.begins_at_once):
            return None
        return Plan(
            record.name,
            record.queue,
            handler,
            not handler.begins_at_once,
            handler.binding.job_parameter is not None,
            self.breakers.of(record.name),
            self.rules.timeout_of(handler, record),
            record.options,
            self.rules.retry_of(handler, record).max_attempts,
            f',"name":{_quoted(record.name)},"queue":{_quoted(record.queue)},"attempt":',
        )


def _make_room(plans: dict[Any, Any]) -> None:
    if len(plans) >= PLANS:
        plans.clear()


@attrs.define(eq=False)
class PlannedJob:
    """A job that is made when somebody asks for it: most handlers don't."""

    held: Held
    plan: Plan
    payload: dict[str, Any]
    enqueued_ms: int
    record: Record | None
    """None: it says nothing more."""
    span: RunSpan | None
    _job: Job | None = None

    def __call__(self) -> Job:
        if self._job is None:
            self._job = self.made()
        return self._job

    @property
    def id(self) -> str | None:
        """The one that it was given."""
        return None if self.record is None else self.record.id

    @property
    def wanted_ms(self) -> int:
        """When it was enqueued, or due if that was with a delay."""
        return self.enqueued_ms if self.record is None else self.record.wanted_ms

    def made(self) -> Job:
        """Another one, for another thread than the handler's."""
        held, plan, record = self.held, self.plan, self.record
        trace = NO_HEADERS if record is None else record.trace
        return Job(
            uid=held.uid,
            name=plan.name,
            queue=plan.queue,
            payload=self.payload,
            attempt=held.attempt,
            max_attempts=plan.max_attempts,
            id=None if record is None else record.id,
            token=held.token,
            enqueued_ms=self.enqueued_ms,
            trace=trace if self.span is None else self.span.headers,
        )
