"""An engine in somebody else's nursery.

async with trio.open_nursery() as nursery:
    engine = await nursery.start(trioq.Engine(app, "jobqueue.toml").run)
    ...
    engine.drain()
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import trio

from trioq.app import App, all_handlers
from trioq.builtin import builtin
from trioq.core.config import Config, check
from trioq.core.events import Report
from trioq.engine.bridge import Access, Caller, ThreadCaller
from trioq.engine.engine import ROLES
from trioq.engine.engine import Engine as Core
from trioq.engine.handlers import Handler
from trioq.observe.logs import LogLines, logger
from trioq.observe.tracing import Tracing
from trioq.settings import load
from trioq.store.checks import check_server
from trioq.store.connect import Connector, open_store


def open_access(connector: Connector, config: Config) -> Access:
    """Lanes for an engine, one for each purpose, each with deadlines that fit it."""
    lanes: dict[str, Caller] = {}
    redis, worker = config.redis, config.worker
    usual_s = redis.connect_timeout_s + redis.read_timeout_s

    def access(purpose: str) -> Caller:
        if purpose not in lanes:
            # A beat that takes longer is worth less than the next one.
            beat_s = min(redis.read_timeout_s, worker.lease_s / 4)
            read_s = beat_s if purpose == "beat" else redis.read_timeout_s
            store = connector.store(purpose, read_timeout_s=read_s)
            lanes[purpose] = ThreadCaller(store, usual_s)
        return lanes[purpose]

    return access


def registry(app: App, config: Config) -> Mapping[str, Handler]:
    """All handlers: the app's, the configured commands, and the built-in ones."""
    return all_handlers(app, config.commands, builtin, config.directory)


class Engine:
    """An engine to run in your own nursery.

    Args:
      app: Your handlers.
      config: A configuration, or its file.
      role: ``worker`` claims and runs jobs, ``producer`` scans the directory; ``all`` does both.
      report: Is told all events; by default they are logged as the configuration says.

    Raises:
      ConfigError: The configuration is wrong.
    """

    def __init__(
        self,
        app: App,
        config: Config | str | Path,
        *,
        role: Literal["all", "worker", "producer"] = "all",
        report: Report | None = None,
    ) -> None:
        self.config = config if isinstance(config, Config) else load(config)
        check(self.config)
        self._handlers = registry(app, self.config)
        self._roles = ROLES if role == "all" else frozenset({role})
        observability = self.config.observability
        self._report = report or LogLines(logger(observability.log_level, observability.log_format))
        self._draining = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[Engine] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until drained or cancelled.

        ``task_status.started(engine)`` comes when Redis has answered and the workers stand:
        use it with ``nursery.start``.

        Raises:
          StoreError: Redis can't be reached at the start, or said no, then or later.

        Cancellation:
          Handlers are cancelled and their jobs given back, shielded for a bounded time.
        """
        tracing = await trio.to_thread.run_sync(Tracing.open, self.config)
        connector = await trio.to_thread.run_sync(open_store, self.config)
        try:
            await trio.to_thread.run_sync(check_server, connector.store("check"))
            core = Core(
                self.config,
                self._handlers,
                open_access(connector, self.config),
                self._report,
                roles=self._roles,
                draining=self._draining,
                tracer=tracing.tracer(),
            )
            async with trio.open_nursery() as nursery:
                await nursery.start(core.run)
                task_status.started(self)
        finally:
            connector.close()

    def drain(self) -> None:
        """Claim nothing more, finish what runs within the grace period, return from run."""
        self._draining.set()
