"""What is told of a job that was cancelled while it ran: its span, its log line."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from trioq.core.outcome import Error, Failed, Interrupted
from trioq.core.settlements import Cancel
from trioq.engine.tracer import RunSpan
from trioq.observe.spans import EngineTracer

CANCEL = Cancel("uid", 1)


@attrs.define
class Traced:
    """One run that is traced."""

    exporter: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    run: RunSpan = attrs.field(init=False)

    @run.default
    def _begin(self) -> RunSpan:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        tracer = EngineTracer(provider.get_tracer("trioq"), "tests", linked=False)
        return tracer.run("uid", "noop", "low", {}, attempt=1, step=1, boot="b00t")

    def told(self) -> ReadableSpan:
        """Its span, which has ended."""
        (span,) = self.exporter.get_finished_spans()
        return span


def attribute(span: ReadableSpan, name: str) -> Any:
    assert span.attributes is not None
    return span.attributes[name]


@pytest.mark.parametrize(
    "outcome", [Interrupted(), Failed(Error("timeout", "it took long", kind="timeout"))]
)
def test_whatever_a_handler_makes_of_a_cancel_is_no_error(outcome: Interrupted | Failed) -> None:
    traced = Traced()
    traced.run.end(CANCEL, outcome)
    assert attribute(traced.told(), "trioq.outcome") == "cancelled"
    assert traced.told().status.is_ok or traced.told().status.is_unset
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_of_an_abandoned_handler_the_span_ends_and_stays_the_handlers_own() -> None:
    traced = Traced()
    here = trace.get_current_span()
    traced.run.end(CANCEL, Interrupted(), is_abandoned=True)
    assert attribute(traced.told(), "trioq.outcome") == "ignored"
    assert trace.get_current_span() is here
    traced.run.over()
    assert trace.get_current_span() is trace.INVALID_SPAN
