"""Turns calls into jobs, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Never
from uuid import UUID

import attrs

from trioq.client.handler_queues import HandlerQueues
from trioq.client.what import call_or_name, fields
from trioq.core import arguments, valid
from trioq.core.arguments import INHERIT, Inherit, Keep, Seconds, When
from trioq.core.call import Call, Expected
from trioq.core.calls import IdKeep, NewJob
from trioq.core.config import Config
from trioq.core.current import deadline_here
from trioq.core.deadline import too_late
from trioq.core.fair import Asked, FairKey
from trioq.core.flow import Flow, Limit, Plan, flow
from trioq.core.formats.payload import encode as encode_payload
from trioq.core.formats.record import encode, plain_header, with_payload
from trioq.core.id_from import id_from
from trioq.core.job import NO_HEADERS, NO_OPTIONS, Headers, Options, Record, new_uid
from trioq.core.outcome import LateReason
from trioq.core.same import PLAINLY, Same
from trioq.core.wall import wall_ms
from trioq.errors import PayloadRejected, QueueUnknown

Place = tuple[str, str]
"""A handler's name and the queue that its job goes to."""

#: What is called is kept for so much longer than one wants to wait for it.
CALLED_S = 60.0

#: So many are remembered.
MOST_PLACES = 1000


@attrs.define
class Drafts:
    """Turns calls into jobs, by the configuration where one is known."""

    config: Config
    knows_queues: bool
    _queues: dict[str, None] = attrs.field(init=False)
    """The configured ones, in their order."""
    handler_queues: HandlerQueues = attrs.field(init=False)
    _places: dict[tuple[str, str | None], Place] = attrs.field(
        factory=dict[tuple[str, str | None], Place], init=False
    )
    """A call's name and the queue that was asked for → its place, of those that were right."""

    flow: Flow = attrs.field(init=False)
    _plans: dict[tuple[Place, tuple[Limit, ...]], Plan] = attrs.field(
        factory=dict[tuple[Place, tuple[Limit, ...]], Plan], init=False
    )
    """A place, and the limits that its handler asks for → what its jobs take of limits."""

    expected: dict[str, Expected] = attrs.field(factory=dict[str, Expected], init=False)
    """A handler's name → what is known of how its jobs end."""

    @handler_queues.default
    def _look_up_handlers(self) -> HandlerQueues:
        return HandlerQueues(self.config)

    @flow.default
    def _look_up_limits(self) -> Flow:
        return flow(self.config)

    @_queues.default
    def _look_up_queues(self) -> dict[str, None]:
        return dict.fromkeys(queue.name for queue in self.config.queues)

    def draft(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None,
        *,
        queue: str | None = None,
        delay: Seconds | None = None,
        at: datetime | None = None,
        id: str | UUID | None = None,
        max_attempts: int | None = None,
        timeout: Seconds | None = None,
        result: Keep | None = None,
        deadline: When | Inherit | None = INHERIT,
        expires: When | None = None,
        fair_key: str | int | None = None,
        weight: float | None = None,
        same: Same = PLAINLY,
        trace: Headers = NO_HEADERS,
        **unknown: Never,
    ) -> NewJob:
        """One job, checked.

        Raises:
          PayloadRejected, QueueUnknown: Nothing can be queued like this.
          TypeError: An argument is of the wrong kind or contradicts another, or there is none of
              its name.
        """
        arguments.refuse_unknown(unknown)
        asked = arguments.fair(fair_key, weight)
        options = self.options(max_attempts, timeout, result, deadline, expires)
        is_same = same is not PLAINLY
        asks = id is not None or at is not None or options is not NO_OPTIONS or trace or is_same
        if not asks and delay is None and payload is None and type(what) is Call:
            place = self.place(what, queue)
            if not self.id_from(what):
                return self._plain(what, place, asked)
        call = self.call(what, payload, queue)
        encoded, place = self.encoded(call), self.place(call, queue)
        plan = self.plan(call, place)
        if id is None:
            id = self.made_id(call)
        after, keep = same.settled(id, delay, at) if is_same else (delay, None)
        own_id = None if id is None else arguments.caller_id(id)
        return self.job(
            call.name,
            encoded,
            queue=call.queue,
            takes=(*plan.takes(call.payload), *same.takes(own_id)),
            fair=plan.turn(call.payload, asked),
            delay_s=0.0 if after is None else arguments.seconds("delay", after, valid.DELAY_S),
            at_ms=0 if at is None else arguments.wall_clock(at, delay),
            id=own_id,
            keep=keep,
            options=options,
            trace=trace,
        )

    def id_from(self, call: Call) -> tuple[str, ...]:
        """The fields of which the id of a call's job is made, as far as they are known here."""
        expected = call.expected
        return self.handler_queues.id_from(call.name) if expected is None else expected.id_from

    def made_id(self, call: Call) -> str | None:
        """The id of a job that is given none.

        Raises:
          PayloadRejected: Its payload hasn't all of which it is made.
        """
        fields = self.id_from(call)
        return id_from(call.name, fields, call.payload) if fields else None

    @staticmethod
    def options(
        max_attempts: Any = None,
        timeout: Any = None,
        result: Any = None,
        deadline: Any = INHERIT,
        expires: Any = None,
    ) -> Options:
        """What a call asks for itself, or has from the job whose handler makes it.

        Raises:
          PayloadRejected: No job can have it.
          TypeError: An argument is of the wrong kind.
        """
        deadline_ms = deadline_here() if deadline is INHERIT else None
        says_when = deadline is not INHERIT and deadline is not None
        if (
            max_attempts is None
            and timeout is None
            and result is None
            and expires is None
            and deadline_ms is None
            and not says_when
        ):
            return NO_OPTIONS
        now_ms = wall_ms()
        return Options(
            None if max_attempts is None else arguments.attempts(max_attempts),
            None if timeout is None else arguments.seconds("timeout", timeout, valid.TIMEOUT_S),
            None if result is None else arguments.keep("result", result),
            arguments.moment("deadline", deadline, now_ms) if says_when else deadline_ms,
            None if expires is None else arguments.moment("expires", expires, now_ms),
        )

    def _plain(self, call: Call, place: Place, asked: Asked) -> NewJob:
        """A job that has a payload and nothing else."""
        payload = self.encoded(call)
        header = plain_header(*place, wall_ms())
        plan = self.plan(call, place)
        return NewJob(
            new_uid(), place[1], *with_payload(header, payload),
            name=place[0], takes=plan.takes(call.payload),
            fair=plan.turn(call.payload, asked),
        )  # fmt: skip

    def call(self, what: Any, payload: Any, queue: str | None) -> Call:
        """What is to be run, whichever way it was said, and in which queue if that was asked for.

        Raises:
          TypeError: It is neither a call nor a handler's name with its payload, or the queue is
              of the wrong kind.
        """
        queue, what = arguments.queue_name(queue), call_or_name(what)
        if not isinstance(what, Call):
            given = fields(payload)
            return Call(what, given, queue or self.handler_queues.of(what))
        if payload is not None:
            raise TypeError("a call has its payload already")
        self._expect(what)
        return Call(what.name, what.payload, queue or what.queue, what.expected)

    def _expect(self, call: Call) -> None:
        """Know how its job may end, for when somebody waits for that."""
        if call.expected is not None:
            self.expected[call.name] = call.expected

    def place(self, call: Call, queue: str | None) -> Place:
        """Where the job of a call goes, which may ask for a queue; looked at once for many.

        Raises:
          PayloadRejected, QueueUnknown: There is no such place.
          TypeError: The queue is of the wrong kind.
        """
        name, asked = call.name, call.queue
        if queue is not None or asked is not None:
            asked = arguments.queue_name(queue) or arguments.queue_name(call.queue)
        self._expect(call)
        if type(name) is not str:
            return self._name(name), self._queue(asked)
        if (place := self._places.get((name, asked))) is None:
            place = self._name(name), self._queue(asked)
            if len(self._places) < MOST_PLACES:
                self._places[name, asked] = place
        return place

    def plan(self, call: Call, place: Place) -> Plan:
        """What the jobs of a call take of limits; looked at once for many."""
        expected = call.expected
        own = self.handler_queues.limits(call.name) if expected is None else expected.limits
        if (plan := self._plans.get((place, own))) is None:
            plan = self.flow.plan(*place, own)
            if len(self._plans) < MOST_PLACES:
                self._plans[place, own] = plan
        return plan

    def encoded(self, call: Call) -> bytes:
        """Its payload.

        Raises:
          PayloadRejected: It can't be one.
        """
        return encode_payload(call.payload, self.config.max_payload_bytes)

    def must_import(self, name: str, queue: object) -> bool:
        """Whether a draft for this handler will import the app, which can take seconds."""
        return not queue and not self.handler_queues.is_known(name)

    def job(
        self,
        name: str,
        payload: bytes,
        *,
        queue: str | None,
        delay_s: float = 0.0,
        at_ms: int = 0,
        id: str | None = None,
        keep: IdKeep | None = None,
        options: Options = NO_OPTIONS,
        trace: Headers = NO_HEADERS,
        takes: tuple[str, ...] = (),
        fair: FairKey | None = None,
    ) -> NewJob:
        """One job whose payload is encoded already.

        Raises:
          PayloadRejected, QueueUnknown: Nothing can be queued like this.
        """
        name, queue = self._name(name), self._queue(queue)
        try:
            valid.DELAY_S.check("delay", delay_s)
            if id is not None:
                valid.ID.check("id", id)
        except ValueError as error:
            raise PayloadRejected(str(error)) from None
        uid, now_ms, delay_ms = new_uid(), wall_ms(), round(delay_s * 1000)
        due_ms = at_ms or now_ms + delay_ms
        if due_ms > now_ms and (late := too_late(options, due_ms)) is not None:
            raise PayloadRejected(_never(late, options, _ready(at_ms, delay_s)))
        record = Record(
            uid=uid,
            name=name,
            queue=queue,
            payload=payload,
            id=id,
            enqueued_ms=now_ms,
            options=options,
            trace=trace,
            due_ms=due_ms if due_ms > now_ms else 0,
        )
        stored, big = encode(record)
        return NewJob(
            uid, queue, stored, big, delay_ms, id,
            name=name, takes=takes, fair=fair, keep=keep, at_ms=at_ms,
            wants_result=None if options.result_s is None else True,
        )  # fmt: skip

    def wants_result(self, handle: Any) -> bool | None:
        """Whether the result of its job was to be kept, as far as is known here; None: nobody
        here has enqueued it."""
        if not handle.name or handle._wants_result is not None:
            return handle._wants_result  # type: ignore[no-any-return]
        expected = self.expected.get(handle.name)
        return expected is not None and expected.result_s is not None

    def _name(self, name: str) -> str:
        try:
            valid.NAME.check("the job's name", name)
        except ValueError as error:
            raise PayloadRejected(str(error)) from None
        return name

    def _queue(self, queue: str | None) -> str:
        queue = queue or self.config.default_queue
        if self.knows_queues:
            if queue not in self._queues:
                known = ", ".join(self._queues)
                raise QueueUnknown(f"no queue {queue!r} is configured; there are {known}")
        elif not valid.QUEUE.allows(queue):
            raise QueueUnknown(f"queue is {valid.shown(queue)}: expected {valid.QUEUE.words}")
        return queue


def _ready(at_ms: int, delay_s: float) -> str:
    """When a job would be."""
    if not at_ms:
        return f"its delay of {delay_s:g} s ends"
    return f"it is due at {datetime.fromtimestamp(at_ms / 1000, UTC)},"


def _never(late: LateReason, options: Options, ready: str) -> str:
    """Why a job would never be run."""
    if late == "expired":
        return f"{ready} after it has expired: it would never be run"
    said = f"{ready} after its deadline: it would never be run"
    if options.deadline_ms != deadline_here():
        return said
    return f"{said}; the deadline is that of the job here, and deadline=None asks for none"
