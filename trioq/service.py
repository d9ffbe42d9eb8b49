"""An engine in somebody else's nursery.

async with trio.open_nursery() as nursery:
    engine = await nursery.start(trioq.Engine(app, "jobqueue.toml").run)
    ...
    engine.drain()
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import attrs
import trio

from trioq.app import App
from trioq.client.of_engine import EngineClients
from trioq.core.config import Config
from trioq.core.config.served import served
from trioq.core.events import Report
from trioq.core.pacemaker import DEADLINE
from trioq.engine.bridge import Access, Caller, ThreadCaller
from trioq.engine.engine import ROLES
from trioq.engine.engine import Engine as Core
from trioq.engine.handlers.scheduled import schedules
from trioq.engine.nurseries import plain_errors
from trioq.handler import kind_of
from trioq.observe.fanout import to_all
from trioq.observe.log_setup import logger
from trioq.observe.logs import LogLines
from trioq.observe.metrics import Metrics
from trioq.observe.tracing import Tracing
from trioq.registry import handler_faults, lifespans_of, registry
from trioq.settings import load, warnings
from trioq.store.checks import check_server
from trioq.store.connect import open_store
from trioq.store.connector import Connector
from trioq.store.redis import RedisStore
from trioq.web.beside import check_page
from trioq.web.endpoint import View


class Stores(Protocol):
    """What opens a store for a purpose: a connector."""

    def store(self, purpose: str, *, at_most_s: float = math.inf) -> RedisStore: ...


def open_access(stores: Stores, config: Config) -> Access:
    """Lanes for an engine, one for each purpose, each with deadlines that fit it."""
    lanes: dict[str, Caller] = {}
    redis, worker = config.redis, config.worker
    usual_s = redis.connect_timeout_s + redis.read_timeout_s

    def access(purpose: str) -> Caller:
        if purpose not in lanes:
            # A beat that takes longer is worth less than the next one.
            at_most_s = worker.lease_s * DEADLINE if purpose == "beat" else math.inf
            store = stores.store(purpose, at_most_s=at_most_s)
            lanes[purpose] = ThreadCaller(store, usual_s)
        return lanes[purpose]

    return access


class Engine:
    """An engine to run in your own nursery.

    Args:
      app: Your handlers.
      config: A configuration, or its file.
      role: ``worker`` claims and runs jobs, ``producer`` scans the directory; ``all`` does both.
      queues: The queues that it claims from, some of those that are configured, whose order of
          priority stays; None: all.
      report: Is told all events; by default they are logged as the configuration says.

    Raises:
      ConfigError: The configuration is wrong, or has no such queue.
      TypeError: It isn't an app.
    """

    def __init__(
        self,
        app: App,
        config: Config | str | Path,
        *,
        role: Literal["all", "worker", "producer"] = "all",
        queues: Sequence[str] | None = None,
        report: Report | None = None,
    ) -> None:
        if not isinstance(app, App):
            raise TypeError(f"an engine takes the trioq.App itself; got {kind_of(app)}")
        if not isinstance(config, Config):
            config = load(config, also=functools.partial(handler_faults, app))
        served(config, queues)  # what is wrong of them
        check_page(config)
        self.config = config
        self._queues = queues
        self._app = app
        self._lifespans = lifespans_of(app)
        self._handlers = registry(app, self.config, lifespans=self._lifespans)
        self._schedules = schedules(self.config, app.schedules, self._handlers)
        self._view = View(self.config, self._handlers)
        self._roles = ROLES if role == "all" else frozenset({role})
        observability = self.config.observability
        self._report = report or LogLines(
            logger(
                observability.log_level,
                observability.log_format,
                namespace=self.config.namespace,
            )
        )
        self._draining = trio.Event()

    def _open(self) -> Connector:
        if not isinstance(self._report, LogLines):
            return open_store(self.config)
        log = self._report.log
        return open_store(self.config, log=lambda line: log.warning("server", message=line))

    async def run(self, *, task_status: trio.TaskStatus[Engine] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until drained or cancelled, and serve metrics and health meanwhile, as
        ``observability.bind`` says, and the page, as ``web.bind`` does.

        ``task_status.started(engine)`` comes when Redis has answered and the workers stand:
        use it with ``nursery.start``.

        Raises:
          StoreError: Redis can't be reached at the start, or said no, then or later.
          LifespanError: That of an app failed: at its start, before any job has run, or later.
          PortError: ``observability.bind`` or ``web.bind`` can't be served on.

        Cancellation:
          Handlers are cancelled and their jobs given back, shielded for a bounded time.
        """
        tracing = await trio.to_thread.run_sync(Tracing.open, self.config)
        connector = await trio.to_thread.run_sync(self._open)
        view = self._view
        try:
            asked = connector.store("check")
            # It changes nothing, so it may be left behind; closing the connector ends it.
            await trio.to_thread.run_sync(check_server, asked, abandon_on_cancel=True)
            asked.close()  # nobody asks again
            await trio.to_thread.run_sync(view.bind)
            if isinstance(self._report, LogLines):
                for line in warnings(self.config):
                    self._report.log.warning("configuration", advice=line)
            report = to_all(self._report, *view.listeners())
            view.engine = core = Core(
                self.config,
                self._handlers,
                open_access(connector, self.config),
                report,
                roles=self._roles,
                queues=self._queues,
                schedules=self._schedules,
                lifespans=self._lifespans,
                http=view.address,
                draining=self._draining,
                tracer=tracing.tracer(),
                clients=EngineClients(lambda: self.config, self._app.handlers),
            )
            with plain_errors():
                async with trio.open_nursery() as serving:
                    serving.start_soon(view.serve, report, connector)
                    await core.run(task_status=_StartedAs(self, task_status))
                    serving.cancel_scope.cancel()
        finally:
            view.close()
            connector.close()

    @property
    def metrics(self) -> Metrics:
        """A collector for prometheus-client, ``metrics.registry`` holds it: for metrics in a
        program's own pages. Where ``observability.bind`` is empty, they begin to count when
        they are first asked for: ask before :meth:`run`.
        """
        return self._view.metrics

    @property
    def http(self) -> str:
        """``host:port`` where metrics and health are served; empty while they aren't."""
        return self._view.address

    @property
    def page(self) -> str:
        """The URL of the page; empty while it isn't shown here."""
        return self._view.page

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether a job that is enqueued now would be run, and why or why not: what
        ``/readyz`` answers."""
        return self._view.readiness()

    def drain(self) -> None:
        """Claim nothing more, finish what runs within the grace period, return from run."""
        self._draining.set()


@attrs.frozen
class _StartedAs:
    """Whoever waits for the start gets the engine that they made."""

    engine: Engine
    task_status: trio.TaskStatus[Engine]

    def started(self, value: Core | None = None) -> None:
        self.task_status.started(self.engine)
