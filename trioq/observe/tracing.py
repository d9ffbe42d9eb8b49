"""Whether anything is traced, and by whom. OpenTelemetry is imported only where it is.

A program that has set a tracer provider of its own has it used, by clients and by engines.
Otherwise a configured endpoint makes one, which is then the program's, so that the spans of
handlers go where ours go. Without either nothing is traced, and that costs next to nothing.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from trioq.core.config import Config
from trioq.core.job import NO_HEADERS, Headers, Uid
from trioq.engine.tracer import Tracer

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer as Spans
    from opentelemetry.trace import TracerProvider

#: What our spans say of the library that made them.
SCOPE = "trioq"


class Sending(Protocol):
    """One enqueue under way."""

    @property
    def headers(self) -> Headers:
        """What the jobs' records shall carry."""

    def sent(self, uids: list[Uid], queues: set[str]) -> None:
        """The server has them."""


class NotTraced:
    """An enqueue that nobody traces."""

    headers = NO_HEADERS

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
        """Make what the configuration asks for, if the program hasn't. Blocks: it imports."""
        tracing = cls(config)
        if config.observability.tracing.endpoint and tracing._spans() is None:
            from trioq.observe.otlp import make_pipeline

            make_pipeline(config.observability.tracing, config.namespace)
        return tracing

    def sending(self, name: str | None) -> AbstractContextManager[Sending]:
        """Around an enqueue of a job of this name, or of several: its span, if there is one.

        A program may set its provider after it has opened a client.
        """
        spans = self._spans()
        if spans is None:
            return _NOT_TRACED
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
