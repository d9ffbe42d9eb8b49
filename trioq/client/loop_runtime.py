"""Enqueue jobs from asyncio: :func:`connect`, which a program knows as ``trioq.aio.connect``.

What talks to the server is what ordinary code uses (:mod:`.sync_outbox`, :mod:`.sync_waits`,
:mod:`.sync_sender`), in threads. Nothing here loads trio.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from trioq.client.client import Client
from trioq.client.elsewhere import led, way
from trioq.client.jobs import Drafts
from trioq.client.loop_outbox import LoopOutbox
from trioq.client.loop_sender import LoopSender
from trioq.client.loop_threads import Threads
from trioq.client.loop_waits import LoopWaits
from trioq.client.opening import configured, patience_of
from trioq.client.runtime import Runtime
from trioq.client.sync_outbox import SyncOutbox
from trioq.client.sync_sender import SyncSender
from trioq.client.sync_waits import SyncWaits
from trioq.core.arguments import Seconds
from trioq.core.config import Config
from trioq.observe.tracing import Tracing
from trioq.store.connector import open_later
from trioq.store.protocol import ClientStore, Hearing, Way

T = TypeVar("T")


class LoopRuntime:
    """A :class:`~trioq.client.runtime.Runtime` in asyncio."""

    def __init__(
        self,
        connector: Way,
        patience_s: float | None = None,
        threads: Threads | None = None,
    ) -> None:
        self._connector = connector
        self._patience_s = patience_s
        self._call_s = math.inf if patience_s is None else patience_s
        self.threads = threads or Threads()
        self.outbox = LoopOutbox(
            SyncOutbox(lambda: self._store("client"), patience_s), self.threads
        )
        self.waits = LoopWaits(SyncWaits(lambda: self._store("wait"), self._ear), self.threads)

    def sender(self, purpose: str) -> LoopSender:
        return LoopSender(SyncSender(lambda: self._store(purpose), self._patience_s), self.threads)

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def in_thread(self, function: Callable[[str], T], argument: str) -> T:
        return await self.threads.call(function, argument)

    def _store(self, purpose: str) -> ClientStore:
        return way(self._connector).store(purpose, call_s=self._call_s)

    def _ear(self, name: str) -> Hearing:
        return way(self._connector).listening(name, call_s=self._call_s)


def loop_runtime(
    connector: Way, patience_s: float | None = None, threads: Threads | None = None
) -> Runtime:
    """Of a client in asyncio that leads there, or elsewhere."""
    elsewhere = led()
    return elsewhere.runtime() if elsewhere else LoopRuntime(connector, patience_s, threads)


class LoopClient(Client):
    """A client for asyncio. Closed at its end, or used in an ``async with`` statement."""

    def __init__(
        self, connector: Way, drafts: Drafts, tracing: Tracing, patience_s: float | None
    ) -> None:
        self._connector = connector
        self._threads = Threads()
        super().__init__(loop_runtime(connector, patience_s, self._threads), drafts, tracing)

    async def close(self) -> None:
        """Close its connections, for good; what waits for an answer is told so.

        Cancellation: it is closed all the same.
        """
        await self._threads.call(self._connector.close)

    async def __aenter__(self) -> Self:
        """
        Raises:
          StoreRefused: The embedded server can't be started, or a TLS file can't be used.
        """
        await self._threads.call(way(self._connector).open)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def connect(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
    patience: Seconds | None = None,
) -> LoopClient:
    """A client for asyncio, by a configuration (or its file), or by a URL and a namespace.

    ``async with trioq.aio.connect(…) as client`` opens what it leads to at once, and closes it.
    Without that nothing is connected, and no embedded server started, before it is needed, and
    ``await client.close()`` closes it.

    Args:
      config, url, namespace: A configuration, or its file; or a URL and a namespace instead.
      patience: Seconds after which a call has ended where Redis doesn't answer, or a timedelta:
          it connects, waits, and tries again for no longer, nor for its turn behind others that
          share the client. Default: ten seconds to try, and for each try what the configuration
          says. Who waits for a job's end, or for room in a queue, has a timeout for that.

    Raises:
      ConfigError: The configuration is wrong.
    """
    made, knows_queues = configured(config, url, namespace)
    patience_s = patience_of(patience)
    drafts = Drafts(made, knows_queues)
    return LoopClient(open_later(made), drafts, Tracing.open(made), patience_s)
