"""Sends enqueues until they are answered, from asyncio; see :mod:`trioq.client.sync_outbox`.

One task at a time has a thread send, and so what many tasks enqueue goes with few requests, and
needs one thread.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from weakref import WeakSet

from trioq.client.loop_threads import Bell, Threads, running_loop
from trioq.client.outbox import BATCH_JOBS, Part
from trioq.client.sync_outbox import LOOK_S, SyncOutbox
from trioq.core.calls import Enqueued, Enqueuer, NewJob


class LoopOutbox:
    """An :class:`~trioq.client.runtime.Outgoing`."""

    def __init__(self, outbox: SyncOutbox, threads: Threads) -> None:
        self._outbox = outbox
        self._threads = threads
        self._sending = WeakSet[asyncio.AbstractEventLoop]()
        """Loops in which a task has a thread send. One that ends in the midst of that is no other's
        concern."""

    async def send(
        self, jobs: Sequence[NewJob], within_s: float = math.inf, who: Enqueuer | None = None
    ) -> Enqueued:
        part = self._outbox.add(jobs, who)
        return await self.finish(part, time.monotonic() + within_s)

    async def start(self, jobs: Sequence[NewJob], who: Enqueuer | None = None) -> Part:
        part = self._outbox.add(jobs, who)
        if len(jobs) >= BATCH_JOBS:
            try:
                await self._threads.call(self._outbox.begin, part)
            except BaseException:
                self._outbox.leave(part)
                raise
        return part

    async def finish(self, part: Part, ends: float = math.inf) -> Enqueued:
        try:
            await self._until_answered(part, ends)
        except BaseException:
            self._outbox.leave(part)
            raise
        return part.result()

    def leave(self, part: Part) -> None:
        self._outbox.leave(part)

    async def _until_answered(self, part: Part, ends: float) -> None:
        loop, bell = running_loop(), Bell()
        part.wake = bell.ring
        # Those who enqueue in the same turn of the loop come along.
        await asyncio.sleep(0)
        ends = self._outbox.end_of(part, ends)
        while not part.is_answered:
            if loop in self._sending:
                if (left_s := ends - time.monotonic()) <= 0:
                    raise self._outbox.late(part)
                await bell.wait(min(left_s, LOOK_S))
                continue
            try:
                self._sending.add(loop)
                await self._threads.call(self._outbox.drive, part, ends)
            finally:
                self._sending.discard(loop)
                # Whom the thread has woken may have looked by now, and sleeps again.
                self._outbox.wake_next()
