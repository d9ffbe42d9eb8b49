"""What is the same for many jobs, worked out once.

Most headers differ in nothing but the time of their enqueue. So what stands before that names a
plan: which handler, for how long, behind which breaker, and what its summary looks like. Of a
header that says more (an id, a timeout, a trace) all is read, and what it says names the plan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import attrs

from trioq.core.board import Board
from trioq.core.breaker import Breaker
from trioq.core.formats import payload
from trioq.core.formats.record import decode
from trioq.core.job import NO_HEADERS, Headers, Job, Options, Record
from trioq.core.keep import Keep, Kept
from trioq.engine.claim import Held
from trioq.engine.handlers import Function, Handler
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.rules import Rules
from trioq.engine.tracer import RunSpan
from trioq.errors import RecordUnreadable

#: Plans that are known; more than any program has names.
PLANS = 512

_AT = b',"at":'
_rest = re.compile(rb'(\d{13})(?:,"id":"([ !#-\[\]-~]{1,500})")?\}\n').match
"""A time and no more, or an id that is written as it is."""
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
    keep: Keep | None
    """That what its runs return is kept; None: it isn't."""
    of_summary: str
    """What stands between the uid and the attempt."""
    drops: bool = False
    """Whether one of its runs has returned something that nobody keeps."""

    def kept(self, returned: Any) -> Kept | None:
        """What is kept of what a run has returned; None: nothing was to be."""
        if self.keep is not None:
            return self.keep.kept(returned)
        if returned is not None:
            self.drops = True
        return None


Asked = tuple[str, str, Options]
"""Name, queue, and what the record itself asks for."""


@attrs.define(eq=False)
class Header:
    """What a record says before its payload, read once for all that say the same."""

    line: bytes
    """As it is written, with the end of the line."""
    plan: Plan
    enqueued_ms: int
    id: str | None = None
    """The one that it was given."""
    trace: Headers = NO_HEADERS
    due_ms: int = 0
    wanted_ms: int = attrs.field(init=False)
    """When it was enqueued, or due if that was with a delay."""
    of_summary: str = attrs.field(init=False)
    """What a summary says of it in the end."""

    def __attrs_post_init__(self) -> None:
        self.wanted_ms = self.due_ms or self.enqueued_ms
        self.of_summary = "" if self.id is None else f',"id":{_quoted(self.id)}'

    def record(self, held: Held) -> Record:
        """That of a claim which has it."""
        plan, payload = self.plan, held.stored[len(self.line) :]
        return Record(
            held.uid, plan.name, plan.queue, payload,
            self.id, self.enqueued_ms, plan.options, self.trace, self.due_ms,
        )  # fmt: skip


class Planned(NamedTuple):
    """A claim, and what its record says."""

    held: Held
    header: Header

    @property
    def plan(self) -> Plan:
        return self.header.plan

    def content(self) -> dict[str, Any]:
        """Its payload.

        Raises:
          RecordUnreadable: It isn't a JSON object.
        """
        held = self.held
        if held.payload:
            return payload.decode(held.payload)
        return payload.decode(held.stored, len(self.header.line))


@attrs.define(eq=False)
class Plans:
    """Those of one engine."""

    handlers: Mapping[str, Handler]
    rules: Rules
    breakers: Breakers
    _last: Header | None = attrs.field(default=None, init=False)
    """Most say what the one before has said."""
    _by_start: dict[bytes, Plan] = attrs.field(factory=dict[bytes, Plan], init=False)
    """By what a header has before its time, where it says all but an id."""
    _by_asked: dict[Asked, Plan | None] = attrs.field(
        factory=dict[Asked, "Plan | None"], init=False
    )

    def header(self, stored: bytes) -> Header | None:
        """What a record says, and how it is run; None: it needs more care."""
        if (last := self._last) is not None and stored.startswith(last.line):
            return last
        self._last = header = self._read(stored)
        return header

    def _read(self, stored: bytes) -> Header | None:
        at = stored.find(_AT) + len(_AT)
        plan = self._by_start.get(stored[:at])
        if plan is not None and (rest := _rest(stored, at)) is not None:
            time, id = rest.groups()
            line = stored[: rest.end()]
            return Header(line, plan, int(time), None if id is None else id.decode("ascii"))
        return self._decoded(stored)

    def _decoded(self, stored: bytes) -> Header | None:
        try:
            read = decode("", stored)
        except RecordUnreadable:
            return None
        record = read.record
        plan = None if read.payload_is_big else self._of(record)
        if plan is None:
            return None
        at = stored.find(_AT) + len(_AT)
        if _rest(stored, at) is not None:
            self._learn(stored[:at])
        line = stored[: stored.find(b"\n") + 1]
        return Header(line, plan, record.enqueued_ms, record.id, record.trace, record.due_ms)

    def _learn(self, start: bytes) -> None:
        """Know this beginning again, if all that it says is what a plan is made from."""
        try:
            alone = decode("", start + b"0}\n").record
        except RecordUnreadable:
            return  # what followed it has said otherwise
        if alone.id is None and not alone.trace and not alone.due_ms:
            _make_room(self._by_start)
            if (plan := self._of(alone)) is not None:
                self._by_start[start] = plan

    def _of(self, record: Record) -> Plan | None:
        if record.options.has_limits:
            return None
        asked = record.name, record.queue, record.options
        try:
            return self._by_asked[asked]
        except KeyError:
            _make_room(self._by_asked)
            plan = self._by_asked[asked] = self._made(record)
            return plan

    def _made(self, record: Record) -> Plan | None:
        handler = self.handlers.get(record.name)
        if not isinstance(handler, Function) or handler.needs_care:
            return None
        return Plan(
            record.name,
            record.queue,
            handler,
            not handler.begins_at_once,
            handler.takes_job,
            self.breakers.of(record.name),
            self.rules.timeout_of(handler, record),
            record.options,
            self.rules.retry_of(handler, record).max_attempts,
            self.rules.result_of(handler, record),
            f',"name":{_quoted(record.name)},"queue":{_quoted(record.queue)},"attempt":',
        )


def _make_room(plans: dict[Any, Any]) -> None:
    if len(plans) >= PLANS:
        plans.clear()


@attrs.define(eq=False)
class PlannedJob:
    """A job that is made when somebody asks for it: most handlers don't."""

    held: Held
    header: Header
    payload: dict[str, Any]
    span: RunSpan | None = None
    _job: Job | None = None
    deadline_ms: ClassVar[int | None] = None
    """A job that has one needs more care than a plan takes."""

    def __call__(self) -> Job:
        if self._job is None:
            self._job = self._make()
        return self._job

    @property
    def plan(self) -> Plan:
        """How it is run."""
        return self.header.plan

    @property
    def made(self) -> Job | None:
        """It, if somebody has asked."""
        return self._job

    @property
    def board(self) -> Board | None:
        """What it has said, if it has said anything."""
        return None if self._job is None else self._job._board

    def _make(self) -> Job:
        held, header, plan = self.held, self.header, self.header.plan
        job = Job(
            uid=held.uid,
            name=plan.name,
            queue=plan.queue,
            payload=self.payload,
            attempt=held.attempt,
            max_attempts=plan.max_attempts,
            id=header.id,
            token=held.token,
            enqueued_ms=header.enqueued_ms,
            # A handler may change what it is given.
            trace=dict(header.trace) if self.span is None else self.span.headers,
            noted=held.noted,
        )
        if (shared := plan.handler.shared) is not None:
            job._share(shared)
        return job
