"""Where the pages and the API ask: operators of one namespace, in threads.

An :class:`~trioq.client.admin.Admin` blocks and is for one thread at a time; a desk has a few of
them, and whoever asks gets one that is free. It runs under trio and under asyncio, since a page may
be mounted into a program of either kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import anyio
import anyio.to_thread

from trioq.client.admin import Admin, admin_of
from trioq.client.jobs import Drafts
from trioq.client.sync import SyncClient
from trioq.core.config import Config
from trioq.doctor import Finding, examine
from trioq.errors import StoreBusy, StoreRefused, StoreUnreachable
from trioq.observe.tracing import Tracing
from trioq.store.connector import Connector
from trioq.web.loops import PerLoop
from trioq.web.problems import Problem

T = TypeVar("T")

#: So many questions at a time; the others wait for their turn.
WINDOWS = 4

#: What the doctor said is said again for so long.
FRESH_S = 10.0


class Desk:
    """Answers questions about one namespace.

    Args:
      config: What its queues, limits and schedules are.
      connector: The open way to it. Whoever opened it closes it.
      windows: How many questions at a time.
    """

    def __init__(self, config: Config, connector: Connector, windows: int = WINDOWS) -> None:
        self.config = config
        self.description = connector.description
        self._connector = connector
        self._idle: list[Admin] = []
        self._turns = PerLoop(lambda: anyio.CapacityLimiter(windows))
        self._looking = PerLoop(anyio.Lock)
        self._looked: tuple[float, list[Finding]] | None = None

    async def ask(self, question: Callable[[Admin], T]) -> T:
        """What the question returns, asked in a thread.

        Cancellation: a question that has begun is awaited; its calls have deadlines.

        Raises:
          Problem: Redis is away (503), has no time (503), or refuses (502). What else a question
            raises comes as it is.
        """
        async with self._turns.here:
            try:
                admin = self._idle.pop()
            except IndexError:
                admin = self._another()
            try:
                return await anyio.to_thread.run_sync(question, admin, limiter=_one())
            except StoreUnreachable as error:
                raise Problem(503, "Redis can't be reached", str(error)) from error
            except StoreBusy as error:
                raise Problem(503, "Redis has no time", str(error)) from error
            except StoreRefused as error:
                raise Problem(502, "Redis refuses", str(error)) from error
            finally:
                self._idle.append(admin)

    @cached_property
    def client(self) -> SyncClient:
        """What enqueues, and knows schedules; it blocks, so it is for questions, and all may share
        it."""
        drafts = Drafts(self.config, knows_queues=True)
        return SyncClient(self._connector, drafts, Tracing.open(self.config))

    async def findings(self) -> list[Finding]:
        """What the doctor says, at most some seconds old. He watches engines for a few heartbeats,
        so nobody asks him while he looks: they wait for what he finds.

        Cancellation: he looks to the end.
        """
        async with self._looking.here:
            if self._looked is None or time.monotonic() - self._looked[0] > FRESH_S:
                found = await anyio.to_thread.run_sync(self._examine, limiter=_one())
                self._looked = time.monotonic(), found
            return self._looked[1]

    def _examine(self) -> list[Finding]:
        return list(examine(self.config, self._connector))

    def _another(self) -> Admin:
        return admin_of(self._connector, self.config.queue_names)


def _one() -> anyio.CapacityLimiter:
    """A thread that isn't counted among those of the program."""
    return anyio.CapacityLimiter(1)
