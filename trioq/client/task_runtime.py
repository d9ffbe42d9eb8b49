"""Enqueue jobs from trio: :func:`connect`.

Each request is one numbered write (:mod:`trioq.client.task_outbox`), so that one whose answer was
lost can be sent again without queueing anything twice.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from trioq.client.client import Client
from trioq.client.elsewhere import led
from trioq.client.jobs import Drafts
from trioq.client.opening import configured, patience_of, trio_opening
from trioq.client.task_outbox import TaskOutbox
from trioq.client.task_sender import TaskSender
from trioq.client.task_waits import TaskWaits
from trioq.core.arguments import Seconds
from trioq.core.config import Config
from trioq.observe.tracing import Tracing
from trioq.store.connect import open_store
from trioq.store.connector import Connector
from trioq.store.redis import RedisStore

T = TypeVar("T")


class TaskRuntime:
    """A :class:`~trioq.client.runtime.Runtime` in trio."""

    def __init__(self, connector: Connector, patience_s: float | None = None) -> None:
        redis = connector.redis
        self._connector = connector
        self._patience_s = patience_s
        self._call_s = math.inf if patience_s is None else patience_s
        self._deadline_s = min(redis.connect_timeout_s + redis.read_timeout_s, self._call_s)
        self.outbox = TaskOutbox(lambda: self._store("client"), self._deadline_s, patience_s)
        listening = partial(connector.listening, call_s=self._call_s)
        self.waits = TaskWaits(lambda: self._store("wait"), listening, self._deadline_s)

    def sender(self, purpose: str) -> TaskSender:
        return TaskSender(lambda: self._store(purpose), self._deadline_s, self._patience_s)

    def _store(self, purpose: str) -> RedisStore:
        return self._connector.store(purpose, call_s=self._call_s)

    def now(self) -> float:
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def in_thread(self, function: Callable[[str], T], argument: str) -> T:
        return await trio.to_thread.run_sync(function, argument)


@trio_opening
async def connect(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
    patience: Seconds | None = None,
) -> AsyncIterator[Client]:
    """Open a client: by a configuration (or its file), or by a URL and a namespace.

    Args:
      config, url, namespace: A configuration, or its file; or a URL and a namespace instead.
      patience: Seconds after which a call has ended where Redis doesn't answer; see
          :func:`~trioq.client.sync.connect_sync`.

    Raises:
      ConfigError: The configuration is wrong.
      StoreRefused: The embedded server can't be started.
    """
    made, knows_queues = configured(config, url, namespace)
    patience_s = patience_of(patience)
    tracing = await trio.to_thread.run_sync(Tracing.open, made)
    if (elsewhere := led()) is not None:
        yield Client(elsewhere.runtime(), Drafts(made, knows_queues), tracing)
        return
    connector = await trio.to_thread.run_sync(open_store, made)
    try:
        yield Client(TaskRuntime(connector, patience_s), Drafts(made, knows_queues), tracing)
    finally:
        connector.close()
