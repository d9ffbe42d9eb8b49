"""Where spans go: to a collector, by OTLP over HTTP, from a thread beside the program.

Made once for a process, and only in a program that has no tracing of its own. A collector
that is away is told of once, and then every 30 s with a count; it holds nothing up, the end
of the program neither.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)

from trioq.core.config.sections import TracingConfig

#: What the end of a program waits for a collector that answers, and for one that doesn't.
FLUSH_S = 2.0
AWAY_S = 0.1

#: A collector that is away is told of this often.
TELL_S = 30.0

_log = logging.getLogger("trioq.tracing")


class FollowLinks(Sampler):
    """Decides for the beginning of a trace: as was decided for what it's linked to.

    Else a run that is linked to its enqueue would be kept without it, and the other way
    round.
    """

    def __init__(self, ratio: float) -> None:
        self._by_ratio = TraceIdRatioBased(ratio)

    def should_sample(  # noqa: PLR0917  the signature isn't ours
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        decide: Sampler = self._by_ratio
        if links:
            is_kept = any(link.context.trace_flags.sampled for link in links)
            decide = ALWAYS_ON if is_kept else ALWAYS_OFF
        return decide.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return f"FollowLinks{{{self._by_ratio.get_description()}}}"


class Exporter(SpanExporter):
    """The exporter that it is given, and what is known of the collector."""

    def __init__(self, inner: SpanExporter, endpoint: str) -> None:
        self.answers: bool | None = None
        """Whether it took the last batch; None: nothing was sent yet."""
        self._inner = inner
        self.endpoint = endpoint
        self._unsent = 0
        self._told_at = -TELL_S

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self.answers is False:
                _log.warning("%s takes spans again; %d were lost", self.endpoint, self._unsent)
            self.answers, self._unsent, self._told_at = True, 0, -TELL_S
            return result
        self.answers = False
        self._unsent += len(spans)
        if time.monotonic() - self._told_at >= TELL_S:
            self._told_at = time.monotonic()
            _log.warning("%s takes no spans; %d were lost so far", self.endpoint, self._unsent)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def is_there(self) -> bool:
        """Whether the collector answers, as far as can be known at once."""
        if self.answers is not None:
            return self.answers
        parts = urlsplit(self.endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), AWAY_S).close()
        except OSError:
            return False
        return True


class Flusher:
    """Sends what is left when the program ends, for a bounded time.

    In a thread of its own, since a request can't be interrupted; begun early, since at its
    end a program can't begin any.
    """

    def __init__(self, provider: TracerProvider, exporter: Exporter) -> None:
        self._provider = provider
        self._exporter = exporter
        self._wanted, self._reached, self._done = (threading.Event() for _ in range(3))
        threading.Thread(target=self._work, name="trioq:spans", daemon=True).start()

    def flush(self) -> None:
        """Wait until all is sent, as long as it's worth it. Once."""
        self._wanted.set()
        if not (self._reached.wait(AWAY_S) and self._done.wait(FLUSH_S)):
            _log.warning("%s didn't take the last spans in time", self._exporter.endpoint)

    def _work(self) -> None:
        self._wanted.wait()
        if self._exporter.is_there():
            self._reached.set()
        self._provider.force_flush()
        self._done.set()
        self._reached.set()


_lock = threading.Lock()
_made: TracerProvider | None = None


def make_pipeline(config: TracingConfig, namespace: str) -> TracerProvider:
    """A provider for this process and the way to its collector, made with the first call."""
    global _made  # noqa: PLW0603  OpenTelemetry has one for a program, too
    with _lock:
        if _made is None:
            _made = _make(config, namespace)
            trace.set_tracer_provider(_made)
        return _made


def _make(config: TracingConfig, namespace: str) -> TracerProvider:
    endpoint = _with_path(config.endpoint)
    # Its own lines come for each try; ours say it once.
    logging.getLogger(OTLPSpanExporter.__module__).addFilter(lambda record: False)
    exporter = Exporter(OTLPSpanExporter(endpoint=endpoint), endpoint)
    provider = TracerProvider(
        sampler=ParentBased(FollowLinks(config.sample_ratio)),
        resource=_resource(namespace),
        shutdown_on_exit=False,  # it would wait for up to 30 s
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    atexit.register(Flusher(provider, exporter).flush)
    return provider


def _with_path(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return endpoint if parts.path.strip("/") else endpoint.rstrip("/") + "/v1/traces"


def _resource(namespace: str) -> Resource:
    """Who we are: as the environment says, as for any program with OpenTelemetry."""
    attributes = {"service.namespace": namespace}
    named = "OTEL_SERVICE_NAME" in os.environ
    if not named and "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes["service.name"] = "trioq"
    return Resource.create(attributes)
