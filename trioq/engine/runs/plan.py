"""What is the same for all jobs with one header, worked out once.

Most headers differ in nothing but the time of their enqueue. So what stands before that names a
plan: which handler, for how long, behind which breaker, and what its summary looks like.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from trioq.core.breaker import Breaker
from trioq.core.formats.record import decode
from trioq.core.job import Job, Record
from trioq.engine.claim import Held
from trioq.engine.handlers import Function, Handler
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.rules import Rules
from trioq.errors import RecordUnreadable

#: Beginnings of headers that are known; more than any program has names.
PLANS = 512

_AT = b',"at":'
_quoted = json.encoder.encode_basestring_ascii


@attrs.define(eq=False)
class Plan:
    """How to run the jobs with one header."""

    name: str
    queue: str
    handler: Function
    takes_job: bool
    breaker: Breaker
    timeout_s: float
    max_attempts: int
    of_summary: str
    """What stands between the uid and the attempt."""


@attrs.define(eq=False)
class Plans:
    """Those of one engine."""

    handlers: Mapping[str, Handler]
    rules: Rules
    breakers: Breakers
    _by_start: dict[bytes, Plan | None] = attrs.field(
        factory=dict[bytes, "Plan | None"], init=False
    )

    def of(self, start: bytes, held: Held) -> Plan | None:
        """The plan of a job whose header begins like this; None: it needs more care."""
        try:
            return self._by_start[start]
        except KeyError:
            return self._looked_up(start, held)

    def _looked_up(self, start: bytes, held: Held) -> Plan | None:
        # No string in JSON holds quotes like these: nothing but the time follows. What says more,
        # an id for instance, isn't remembered: each of them would be another.
        if not start.endswith(_AT):
            return None
        if len(self._by_start) >= PLANS:
            self._by_start.clear()
        plan = self._by_start[start] = self._made(held)
        return plan

    def _made(self, held: Held) -> Plan | None:
        try:
            stored = decode(held.uid, held.stored)
        except RecordUnreadable:
            return None
        record = stored.record
        plain = Record(
            record.uid, record.name, record.queue, record.payload, enqueued_ms=record.enqueued_ms
        )
        if record != plain or stored.payload_is_big:
            return None  # it says something of its own
        handler = self.handlers.get(record.name)
        if not isinstance(handler, Function) or not handler.begins_at_once:
            return None
        return Plan(
            record.name,
            record.queue,
            handler,
            handler.binding.job_parameter is not None,
            self.breakers.of(record.name),
            self.rules.timeout_of(handler, record),
            self.rules.retry_of(handler, record).max_attempts,
            f',"name":{_quoted(record.name)},"queue":{_quoted(record.queue)},"attempt":',
        )


@attrs.define(eq=False)
class PlannedJob:
    """A job that is made when somebody asks for it: most handlers don't."""

    held: Held
    plan: Plan
    payload: dict[str, Any]
    enqueued_ms: int
    _job: Job | None = None

    def __call__(self) -> Job:
        if self._job is None:
            held, plan = self.held, self.plan
            self._job = Job(
                uid=held.uid,
                name=plan.name,
                queue=plan.queue,
                payload=self.payload,
                attempt=held.attempt,
                max_attempts=plan.max_attempts,
                token=held.token,
                enqueued_ms=self.enqueued_ms,
            )
        return self._job
