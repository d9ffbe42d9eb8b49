"""Whether anything is traced, and by whom. OpenTelemetry is imported only where it is.

A program that has set a tracer provider of its own has it used, by clients and by engines.
Otherwise a configured endpoint makes one, which is then the program's, so that the spans of
handlers go where ours go. Without either nothing is traced, and that costs next to nothing; what
is enqueued belongs then to the trace of whoever else traces, if that was said: :func:`trace_from`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from trioq.core.config import Config
from trioq.core.formats.record import BAGGAGE_BYTES, TRACE
from trioq.core.job import NO_HEADERS, Headers, Uid
from trioq.engine.tracer import Tracer
from trioq.extras import extra

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer as Spans
    from opentelemetry.trace import TracerProvider

#: What our spans say of the library that made them.
SCOPE = "trioq"

_others: Callable[[], Headers] | None = None
"""Says where enqueues belong that OpenTelemetry doesn't trace."""


def trace_from(headers: Callable[[], Headers] | None) -> None:
    """Have what this process enqueues belong to a trace that somebody else makes.

    That is for tracers other than OpenTelemetry's; where that traces, nothing else is asked.

    Args:
      headers: Is called by each enqueue, where that is. It returns ``traceparent``, ``tracestate``
          and ``baggage`` (W3C), as far as there is such a thing; the job has them as ``job.trace``.
          What it raises is logged. None: nobody is asked any more.
    """
    global _others  # noqa: PLW0603
    _others = headers


class Sending(Protocol):
    """One enqueue under way."""

    @property
    def headers(self) -> Headers:
        """What the jobs' records shall carry."""

    def sent(self, uids: list[Uid], queues: set[str]) -> None:
        """The server has them."""


@attrs.frozen
class NotTraced:
    """An enqueue that we have no span of."""

    headers: Headers = NO_HEADERS

    def sent(self, uids: list[Uid], queues: set[str]) -> None:
        """Nobody is told."""


@attrs.define
class Tracing:
    """The tracing of one client or engine, by its configuration and its program."""

    config: Config
    _found: tuple[TracerProvider, Spans] | None = attrs.field(default=None, init=False)
    _has_looked: bool = attrs.field(default=False, init=False)
    """Whether the program's environment was looked at, which may name a provider."""

    @classmethod
    def open(cls, config: Config) -> Tracing:
        """Make what the configuration asks for, if the program hasn't. Blocks: it imports.

        Raises:
          NotInstalled: What that takes isn't there.
        """
        tracing = cls(config)
        if config.observability.tracing.endpoint and tracing._spans() is None:
            with extra("observability.tracing.endpoint"):
                from trioq.observe.otlp import make_pipeline

            make_pipeline(config.observability.tracing, config.namespace)
        return tracing

    def sending(self, name: str | None) -> AbstractContextManager[Sending]:
        """Around an enqueue of a job of this name, or of several: its span, if there is one.

        A program may set its provider after it has opened a client.
        """
        spans = self._spans()
        if spans is None:
            return _NOT_TRACED if _others is None else nullcontext(NotTraced(_told(_others)))
        from trioq.observe.spans import sending

        return sending(spans, self.config.namespace, name)

    def tracer(self) -> Tracer | None:
        """What an engine that starts now is traced by."""
        spans = self._spans()
        if spans is None:
            return None
        from trioq.observe.spans import EngineTracer

        linked = self.config.observability.tracing.relation == "link"
        return EngineTracer(spans, self.config.namespace, linked)

    def _spans(self) -> Spans | None:
        api: Any = sys.modules.get("opentelemetry.trace")
        if api is None:
            return None  # then nobody has set a provider
        # Asked before each enqueue: where none is set, as the module says where it has this name,
        # OpenTelemetry would look into the environment each time.
        if self._has_looked and getattr(api, "_TRACER_PROVIDER", api) is None:
            return None
        provider, self._has_looked = api.get_tracer_provider(), True
        if isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider):
            return None
        if self._found is None or self._found[0] is not provider:
            self._found = (provider, provider.get_tracer(SCOPE))
        return self._found[1]


_NOT_TRACED: AbstractContextManager[Sending] = nullcontext(NotTraced())


def _told(others: Callable[[], Headers]) -> Headers:
    try:
        told = others()
        headers = {name: told[name] for name in TRACE if told.get(name)}
        if len(headers.get("baggage", "")) > BAGGAGE_BYTES:
            del headers["baggage"]
    except Exception:
        import logging  # who only enqueues needn't load it

        logging.getLogger("trioq.tracing").exception("an enqueue belongs to no trace")
        return NO_HEADERS
    return headers
