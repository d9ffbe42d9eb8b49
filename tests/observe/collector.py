"""A collector: takes spans by OTLP over HTTP, and keeps them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support import wait_until


@attrs.frozen
class Link:
    trace_id: str
    span_id: str
    what: str


@attrs.frozen
class Span:
    """A span as it came in."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: tuple[Link, ...]
    events: dict[str, dict[str, Any]]
    error: str | None
    took_s: float
    scope: str
    service: str

    def linked(self, what: str) -> list[tuple[str, str]]:
        """Trace and span of the links of this kind."""
        return [(link.trace_id, link.span_id) for link in self.links if link.what == what]

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}"


@attrs.define
class Collector:
    """What came in so far."""

    endpoint: str
    requests: list[ExportTraceServiceRequest] = attrs.field(factory=list)

    def spans(self, name: str = "") -> list[Span]:
        """All of this name, in the order in which they began."""
        found = [
            (span.start_time_unix_nano, _span(span, scope.scope.name, _fields(resource)))
            for request in list(self.requests)
            for resource_spans in request.resource_spans
            for resource in [resource_spans.resource.attributes]
            for scope in resource_spans.scope_spans
            for span in scope.spans
        ]
        return [span for _, span in sorted(found, key=lambda f: f[0]) if name in ("", span.name)]

    def one(self, name: str) -> Span:
        """The only one of this name."""
        (span,) = self.wait(name)
        return span

    def wait(self, name: str, count: int = 1) -> list[Span]:
        """Wait until there are so many."""
        return wait_until(lambda: spans if len(spans := self.spans(name)) >= count else None)


def _span(span: WireSpan, scope: str, resource: dict[str, Any]) -> Span:
    return Span(
        span.name,
        WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _fields(span.attributes),
        tuple(
            Link(link.trace_id.hex(), link.span_id.hex(), _fields(link.attributes)["trioq.link"])
            for link in span.links
        ),
        {event.name: _fields(event.attributes) for event in span.events},
        span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        scope,
        resource["service.name"],
    )


def _fields(attributes: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value"))

    return {pair.key: value(pair) for pair in attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """One that listens on a port of its own."""
    taken = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces", self.path
            taken.requests.append(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        taken.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield taken
        finally:
            server.shutdown()
            thread.join()
