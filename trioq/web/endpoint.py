"""What can be seen of one engine from outside: its metrics, its health, and where; and the page
beside it.

Made before the engine, because the engine tells others where it is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import trio

from trioq import web
from trioq.core.config import Config
from trioq.core.events import HttpServed, Report
from trioq.engine.engine import Engine
from trioq.engine.handlers import Handler
from trioq.engine.status import Status
from trioq.observe.metrics import Metrics
from trioq.store.connector import Connector
from trioq.web.beside import Beside
from trioq.web.health import readiness


@attrs.define
class View:
    """One engine, seen from outside."""

    config: Config
    handlers: Mapping[str, Handler]
    engine: Engine | None = None
    """None: it doesn't run."""
    _bound: web.Bound | None = attrs.field(default=None, init=False)
    _metrics: Metrics | None = attrs.field(default=None, init=False)
    _page: Beside | None = attrs.field(default=None, init=False)

    @property
    def metrics(self) -> Metrics:
        """The engine's metrics. They begin to count when they are first asked for."""
        if self._metrics is None:
            default = self.config.default_queue
            queues = {name: one.queue or default for name, one in self.handlers.items()}
            self._metrics = Metrics(self.config, queues, self.status)
        return self._metrics

    @property
    def address(self) -> str:
        """``host:port`` where it is served; empty: it isn't."""
        return self._bound.address if self._bound else ""

    @property
    def page(self) -> str:
        """The page's URL; empty: it isn't shown here."""
        return self._page.url if self._page else ""

    def bind(self) -> None:
        """Take the configured ports: that of metrics and health, or one after it, and the page's;
        each if it is to be served at all.

        Raises:
          PortError: There is none to be had.
          NotInstalled: What serves isn't there.
        """
        where = self.config.observability.address
        if where is not None:
            web.check_installed()
            self._bound = web.bind(*where)
            _ = self.metrics
        self._page = Beside.bind(self.config)

    def status(self) -> Status | None:
        return self.engine.status() if self.engine else None

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether the engine is ready, and as JSON why or why not."""
        return readiness(self.status())

    def listeners(self) -> tuple[Report, ...]:
        """What must be told the engine's events."""
        return () if self._metrics is None else (self._metrics,)

    async def serve(self, report: Report, connector: Connector) -> None:
        """Serve until cancelled, on the ports that were taken.

        Args:
          connector: Where the page asks.
        """
        async with trio.open_nursery() as nursery:
            if self._bound is not None:
                await nursery.start(web.serve, self._bound, self.metrics.registry, self.status)
                report(HttpServed(self._bound.address))
            if self._page is not None:
                nursery.start_soon(self._page.serve, connector, report)

    def close(self) -> None:
        """Give the ports up."""
        if self._page is not None:
            self._page.close()
            self._page = None
        if self._bound is not None:
            self._bound.close()
            self._bound = None
        self.engine = None
