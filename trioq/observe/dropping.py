"""Runs whose enqueue wasn't sampled, and which therefore surely aren't either.

Most samplers do as was done where a trace began: OpenTelemetry's own ``ParentBased`` does, unless
it was told otherwise. To hear that from it costs several times what a tiny job does, so here it
isn't asked. What a run is given is what it would be given otherwise: a span of the same trace,
with an id of its own, of which nothing is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Token
from functools import lru_cache
from typing import Any

import attrs
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trioq.core.job import Headers
from trioq.core.outcome import Outcome
from trioq.core.settlements import Settlement

_TRACE_CONTEXT = TraceContextTextMapPropagator()

#: By what a context knows the span that it has.
(_SPAN,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())


class DroppedSpan(NonRecordingSpan):
    """A span of which nothing is kept. What names it is put together when somebody asks."""

    def __init__(self, parent: SpanContext, span_id: int) -> None:
        super().__init__(parent)
        self._span_id = span_id
        self._own: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        if self._own is None:
            parent = self._context
            self._own = SpanContext(
                parent.trace_id, self._span_id, False, parent.trace_flags, parent.trace_state
            )
        return self._own


@attrs.define(eq=False)
class DroppedRun:
    """A :class:`trioq.engine.tracer.RunSpan`."""

    headers: Headers
    _token: Token[Context]

    is_recorded = False

    def link(self, traceparent: str) -> None:
        """Nothing is kept, so nothing is linked."""

    def end(self, settlement: Settlement, outcome: Outcome, *, is_abandoned: bool = False) -> None:
        """The span isn't current any more, if its handler has ended."""
        if not is_abandoned:
            self.over()

    def over(self) -> None:
        detach(self._token)


@attrs.frozen
class Parent:
    """The span of an enqueue that wasn't sampled."""

    context: SpanContext
    before: str
    """What its children's headers say before their own ids, and after them."""
    after: str


@attrs.define
class Drops:
    """Begins such runs.

    Args:
      new_span_id: As the tracer makes them.
    """

    new_span_id: Callable[[], int]

    @classmethod
    def of(cls, tracer: trace.Tracer) -> Drops | None:
        """Those of a tracer; None: nobody can tell what its sampler would say."""
        made: Any = tracer
        if not _follows_parents(getattr(made, "sampler", None)):
            return None
        return cls(made.id_generator.generate_span_id)

    def run(self, enqueued: Headers) -> DroppedRun | None:
        """Begin the span of a run, current in the calling task until it ends; None: it may be kept.

        Args:
          enqueued: What its record carries. With a state or a baggage it takes the longer way.
        """
        traceparent = enqueued.get("traceparent")
        if traceparent is None or len(enqueued) > 1 or (parent := _parent(traceparent)) is None:
            return None
        span_id = self.new_span_id()
        token = attach(Context({_SPAN: DroppedSpan(parent.context, span_id)}))
        return DroppedRun({"traceparent": f"{parent.before}{span_id:016x}{parent.after}"}, token)


def _follows_parents(sampler: object) -> bool:
    """Whether it surely drops what begins elsewhere and is dropped there."""
    # Whoever has made a tracer with a sampler has loaded it.
    sampling = sys.modules.get("opentelemetry.sdk.trace.sampling")
    if sampling is None:
        return False
    kinds = sampling.ParentBased, sampling.ParentBasedTraceIdRatio
    of_dropped = getattr(sampler, "_remote_parent_not_sampled", None)
    return type(sampler) in kinds and of_dropped is sampling.ALWAYS_OFF


@lru_cache(maxsize=64)
def _parent(traceparent: str) -> Parent | None:
    """One that is sound, and wasn't sampled."""
    context = _TRACE_CONTEXT.extract({"traceparent": traceparent}, Context())
    me = trace.get_current_span(context).get_span_context()
    if not me.is_valid or me.trace_flags.sampled:
        return None
    return Parent(me, f"00-{me.trace_id:032x}-", f"-{me.trace_flags:02x}")
