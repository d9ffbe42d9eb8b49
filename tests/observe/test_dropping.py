"""A run of which nothing is kept is given what OpenTelemetry would give it, without asking it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler

from trioq.core.job import Headers
from trioq.core.outcome import Succeeded
from trioq.core.settlements import Ack
from trioq.observe.dropping import DroppedRun
from trioq.observe.spans import EngineTracer

TRACE, SPAN = "ab" * 16, "cd" * 8
DROPPED = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
FOLLOWS: Sampler = ParentBased(ALWAYS_ON)


@attrs.define
class Runs:
    """Runs of an engine that is traced with this sampler."""

    sampler: Sampler
    exporter: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    tracer: EngineTracer = attrs.field(init=False)

    @tracer.default
    def _make(self) -> EngineTracer:
        provider = TracerProvider(sampler=self.sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        return EngineTracer(provider.get_tracer("trioq"), "tests", linked=False)

    def seen(self, enqueued: Headers) -> dict[str, Any]:
        """What a run's handler sees, and whether anything is there afterwards."""
        run = self.tracer.run("uid", "noop", "low", enqueued, attempt=1, step=1, boot="b00t")
        me = trace.get_current_span().get_span_context()
        seen: dict[str, Any] = {
            "trace": f"{me.trace_id:032x}", "flags": me.trace_flags, "state": me.trace_state,
            "is remote": me.is_remote, "has an id of its own": f"{me.span_id:016x}" != SPAN,
            "baggage": dict(baggage.get_all()), "is recorded": run.is_recorded,
            "headers name it": run.headers["traceparent"]
            == f"00-{me.trace_id:032x}-{me.span_id:016x}-{me.trace_flags:02x}",
            "other headers": {**run.headers, "traceparent": ""},
        }  # fmt: skip
        run.link(DROPPED["traceparent"])
        run.end(Ack("uid", 1), Succeeded(None))
        seen["after"] = trace.get_current_span()
        seen["kept"] = [span.name for span in self.exporter.get_finished_spans()]
        return seen


@pytest.mark.parametrize(
    "enqueued",
    [
        DROPPED, {**DROPPED, "baggage": "who=me"}, {**DROPPED, "tracestate": "a=1"},
        {"traceparent": f"00-{TRACE}-{SPAN}-02"}, {"traceparent": f"00-{TRACE}-{SPAN}-01"},
    ],
)  # fmt: skip
def test_a_run_sees_what_opentelemetry_would_have_it_see(enqueued: Headers) -> None:
    sooner, asked = Runs(FOLLOWS), Runs(FOLLOWS)
    asked.tracer._drops = None
    seen = sooner.seen(enqueued)
    assert seen == asked.seen(enqueued)
    assert seen["trace"] == TRACE
    assert seen["has an id of its own"]
    assert seen["headers name it"]
    assert seen["after"] is trace.INVALID_SPAN


def test_of_a_dropped_enqueue_nobody_is_asked() -> None:
    runs = Runs(FOLLOWS)
    run = runs.tracer.run("uid", "noop", "low", DROPPED, attempt=1, step=1, boot="b00t")
    run.end(Ack("uid", 1), Succeeded(None))
    assert isinstance(run, DroppedRun)


def test_each_run_has_an_id_of_its_own() -> None:
    runs, headers = Runs(FOLLOWS), set[str]()
    for _ in range(3):
        run = runs.tracer.run("uid", "noop", "low", DROPPED, attempt=1, step=1, boot="b00t")
        headers.add(run.headers["traceparent"])
        run.end(Ack("uid", 1), Succeeded(None))
    assert len(headers) == 3


@pytest.mark.parametrize(
    "sampler", [ALWAYS_ON, ParentBased(ALWAYS_OFF, remote_parent_not_sampled=ALWAYS_ON)]
)
def test_a_sampler_that_may_keep_it_is_asked(sampler: Sampler) -> None:
    assert Runs(sampler).seen(DROPPED)["kept"] == ["run noop"]


@pytest.mark.parametrize("enqueued", [{}, {"traceparent": "rubbish"}])
def test_a_run_that_begins_a_trace_is_asked_for(enqueued: Headers) -> None:
    assert Runs(FOLLOWS).seen(enqueued)["kept"] == ["run noop"]
