"""Spans of OpenTelemetry for what clients and engines do.

Their attributes are those of the semantic conventions for messaging where there is one, and
``trioq.…`` otherwise. Payloads are in none of them.

A user's sampler, id generator and span processors run in here. What they raise is logged,
and costs a span, never a job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Token
from functools import lru_cache
from typing import TypeVar, assert_never

import attrs
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trioq.core.formats.record import BAGGAGE_BYTES, TRACE
from trioq.core.job import NO_HEADERS, Headers, Uid
from trioq.core.outcome import Error, Failed, Outcome, Snoozed
from trioq.core.settlements import (
    Ack,
    Cancel,
    DeadLetter,
    Deliver,
    Park,
    Release,
    RetryAt,
    Settlement,
)
from trioq.engine.tracer import RunSpan
from trioq.observe.dropping import Drops

T = TypeVar("T")

#: Steps whose spans runs can still be linked to: an engine's next run is of a recent one.
STEPS = 1000

_TRACE_CONTEXT = TraceContextTextMapPropagator()
_BAGGAGE = W3CBaggagePropagator()

NO_SPAN: Span = trace.INVALID_SPAN

_NOTHING = Context()

_log = logging.getLogger("trioq.tracing")


def headers_of(span: Span, context: Context | None = None) -> Headers:
    """What tells others of a span, and of the baggage around it."""
    me = span.get_span_context()
    if not me.is_valid:
        return NO_HEADERS
    # As the W3C has it; the library's own way costs several times as much.
    headers = {"traceparent": f"00-{me.trace_id:032x}-{me.span_id:016x}-{me.trace_flags:02x}"}
    if me.trace_state:
        headers["tracestate"] = me.trace_state.to_header()
    if context != _NOTHING and baggage.get_all(context):
        _BAGGAGE.inject(headers, context)
        if len(headers.get("baggage", "")) > BAGGAGE_BYTES:
            del headers["baggage"]
    return headers


def context_of(headers: Headers) -> Context:
    """Where headers say that something belongs; an empty context if they don't."""
    plain = headers.get("traceparent", "") if "tracestate" not in headers else ""
    context = _of_parent(plain) if plain else Context()
    if "tracestate" in headers:
        context = _TRACE_CONTEXT.extract(headers, context)
    if "baggage" in headers:
        context = _BAGGAGE.extract(headers, context)
    return context


# Those that were enqueued together have one.
@lru_cache(maxsize=64)
def _of_parent(traceparent: str) -> Context:
    return _TRACE_CONTEXT.extract({"traceparent": traceparent}, Context())


def _guarded(what: Callable[[], T], otherwise: T) -> T:
    try:
        return what()
    except Exception:
        _log.exception("a span was lost")
        return otherwise


# -- clients -------------------------------------------------------------------------------


@attrs.frozen
class Sending:
    """A :class:`trioq.observe.tracing.Sending`."""

    span: Span
    headers: Headers

    def sent(self, uids: list[Uid], queues: set[str]) -> None:
        """The server has them."""
        if len(uids) == 1:
            self.span.set_attribute("messaging.message.id", uids[0])
        else:
            self.span.set_attribute("messaging.batch.message_count", len(uids))
        if len(queues) == 1:
            self.span.set_attribute("messaging.destination.name", queues.pop())


@contextmanager
def sending(tracer: trace.Tracer, namespace: str, name: str | None) -> Iterator[Sending]:
    """The span of one enqueue; what it raises is recorded.

    Args:
      name: Of the job; None where there are several.
    """
    attributes = _about(namespace, name, "enqueue", "send")
    what = f"enqueue {name}" if name else "enqueue"

    def start() -> Span:
        return tracer.start_span(what, kind=SpanKind.PRODUCER, attributes=attributes)

    span = _guarded(start, NO_SPAN)
    try:
        with trace.use_span(span):
            yield Sending(span, headers_of(span))
    finally:
        _guarded(span.end, None)


# -- engines -------------------------------------------------------------------------------


@attrs.define
class EngineTracer:
    """A :class:`trioq.engine.tracer.Tracer`.

    Args:
      linked: A run is a trace of its own with a link to its enqueue; else it's a child of it.
    """

    tracer: trace.Tracer
    namespace: str
    linked: bool
    _drops: Drops | None = attrs.field(init=False)
    _steps: dict[int, SpanContext] = attrs.field(factory=dict[int, SpanContext], init=False)

    @_drops.default
    def _find_drops(self) -> Drops | None:
        return None if self.linked else Drops.of(self.tracer)

    def found(self, uid: Uid, name: str, queue: str) -> Headers:
        """Each file begins a trace of its own."""
        return _guarded(lambda: self._found(uid, name, queue), NO_HEADERS)

    def claimed(self, step: int, jobs: int, settled: int, took_s: float) -> None:
        """The span of a step, made when it's over: most steps bring nothing."""
        _guarded(lambda: self._claimed(step, jobs, settled, took_s), None)

    def run(
        self,
        uid: Uid,
        name: str,
        queue: str,
        enqueued: Headers,
        *,
        attempt: int,
        step: int,
        boot: str,
    ) -> RunSpan:
        """Begin the span of a run, current in the calling task until it ends."""
        try:
            dropped = None if self._drops is None else self._drops.run(enqueued)
            return dropped or self._run(uid, name, queue, enqueued, attempt, step, boot)
        except Exception:
            _log.exception("a span was lost")
            return Run(NO_SPAN, enqueued, None)

    def _found(self, uid: Uid, name: str, queue: str) -> Headers:
        attributes = _about(self.namespace, name, "enqueue", "create")
        attributes |= {"messaging.message.id": uid, "messaging.destination.name": queue}
        span = self.tracer.start_span(
            f"enqueue {name}", Context(), kind=SpanKind.PRODUCER, attributes=attributes
        )
        span.end()
        return headers_of(span, Context())

    def _claimed(self, step: int, jobs: int, settled: int, took_s: float) -> None:
        ended_ns = time.time_ns()
        attributes = _about(self.namespace, None, "claim", "receive")
        attributes |= {
            "messaging.batch.message_count": jobs, "trioq.settled": settled, "trioq.step": step,
        }  # fmt: skip
        span = self.tracer.start_span(
            "claim", Context(), kind=SpanKind.CLIENT, attributes=attributes,
            start_time=ended_ns - int(took_s * 1e9),
        )  # fmt: skip
        span.end(ended_ns)
        self._steps.pop(step, None)
        if span.is_recording() or span.get_span_context().trace_flags.sampled:
            self._steps[step] = span.get_span_context()
        if len(self._steps) > STEPS:
            del self._steps[next(iter(self._steps))]

    def _run(  # noqa: PLR0917
        self, uid: Uid, name: str, queue: str, enqueued: Headers, attempt: int, step: int, boot: str
    ) -> Run:
        attributes = _about(self.namespace, name, "run", "process")
        attributes |= {
            "messaging.message.id": uid, "messaging.destination.name": queue,
            "trioq.attempt": attempt, "trioq.engine_id": boot,
        }  # fmt: skip
        context, links = context_of(enqueued), []
        if self.linked:
            enqueue = trace.get_current_span(context).get_span_context()
            links = [Link(enqueue, {"trioq.link": "enqueue"})] if enqueue.is_valid else []
            context = trace.set_span_in_context(NO_SPAN, context)
        span = self.tracer.start_span(
            f"run {name}", context, kind=SpanKind.CONSUMER, attributes=attributes,
            links=links,
        )  # fmt: skip
        if span.is_recording() and step in self._steps:
            span.add_link(self._steps[step], {"trioq.link": "claim"})
        here = trace.set_span_in_context(span, context)
        return Run(span, headers_of(span, context), attach(here))


@attrs.define(eq=False)
class Run:
    """A :class:`trioq.engine.tracer.RunSpan`."""

    span: Span
    headers: Headers
    _token: Token[Context] | None

    @property
    def is_recorded(self) -> bool:
        return self.span.is_recording()

    def link(self, traceparent: str) -> None:
        """The span of an earlier attempt."""
        before = trace.get_current_span(context_of({TRACE[0]: traceparent})).get_span_context()
        if before.is_valid:
            self.span.add_link(before, {"trioq.link": "earlier attempt"})

    def end(self, settlement: Settlement, outcome: Outcome, *, is_abandoned: bool = False) -> None:
        """Record what came of it; the span isn't current any more, if its handler has ended."""
        if not is_abandoned:
            self.over()
        word = "ignored" if is_abandoned else _word(settlement, outcome)
        _guarded(lambda: self._end(settlement, outcome, word), None)

    def over(self) -> None:
        if self._token is not None:
            detach(self._token)

    def _end(self, settlement: Settlement, outcome: Outcome, word: str) -> None:
        if self.span.is_recording():
            self.span.set_attribute("trioq.outcome", word)
            if isinstance(settlement, RetryAt):
                self.span.set_attribute("trioq.again_in_s", settlement.delay_ms / 1000)
            if isinstance(settlement, DeadLetter):
                self.span.set_attribute("trioq.dead_reason", settlement.reason)
            if isinstance(outcome, Failed) and not isinstance(settlement, Cancel):
                _record(self.span, outcome.error)
        self.span.end()


def _word(settlement: Settlement, outcome: Outcome) -> str:
    """How the run ended, in one word of a few."""
    match settlement:
        case Ack() | Deliver():
            return "succeeded"
        case DeadLetter():
            return "dead"
        case RetryAt():
            return "snoozed" if isinstance(outcome, Snoozed) else "failed"
        case Release():
            return "released"
        case Park():
            return "parked"
        case Cancel():
            return "cancelled"
        case _:
            assert_never(settlement)


def _record(span: Span, error: Error) -> None:
    """An error as the conventions have it, from what the job's history keeps of it."""
    span.set_attribute("error.type", error.type)
    span.set_status(Status(StatusCode.ERROR, f"{error.type}: {error.message}"))
    span.add_event(
        "exception",
        {
            "exception.type": error.type,
            "exception.message": error.message,
            "exception.stacktrace": error.traceback,
        },
    )


def _about(namespace: str, name: str | None, operation: str, kind: str) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "messaging.system": "trioq",
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "trioq.namespace": namespace,
    }
    if name is not None:
        attributes["trioq.job"] = name
    return attributes
