"""Sends enqueues until they are answered, from trio; see :mod:`trioq.client.sync_outbox`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import attrs
import trio

from trioq.client.outbox import Outbox, Part, Write
from trioq.core.calls import Enqueued, NewJob
from trioq.engine.bridge import ThreadCaller
from trioq.store.redis import RedisStore


@attrs.define
class _Own:
    """What one process has: a child that was forked off has a sender of its own."""

    way: ThreadCaller
    box: Outbox = attrs.field(factory=Outbox)
    is_sending: bool = False
    """Whether it is somebody's turn, who alone touches what is under way."""
    pid: int = attrs.field(factory=os.getpid)


class TaskOutbox:
    """Sends the jobs of several tasks: together, where they meet.

    Args:
      opened: Opens a store for a process: called now, and in each forked child that sends.
      deadline_s: How long one try may take, connecting included.
    """

    def __init__(self, opened: Callable[[], RedisStore], deadline_s: float) -> None:
        self._opened = opened
        self._deadline_s = deadline_s
        self._own = self._made()

    # Ctrl-C comes while it waits, as a cancellation does: others rely on what is done between.
    @trio.lowlevel.enable_ki_protection
    async def send(self, jobs: Sequence[NewJob]) -> Enqueued:
        """Queue these jobs, all or none; see :meth:`~trioq.client.sync_outbox.SyncOutbox.send`.

        Cancellation:
          At once. What isn't under way by then is never queued. What is may be queued, or will
          be: a request that others wait for is sent again by one of them; else the next one has
          a number of its own, and what comes of this one later is refused.
        """
        if self._own.pid != os.getpid():
            self._own = self._made()
        own = self._own
        part = own.box.add(jobs)
        try:
            await _wait(own, part)
        except BaseException:
            part.has_left = True
            own.box.wake_next()
            raise
        return part.result()

    def _made(self) -> _Own:
        return _Own(ThreadCaller(self._opened(), self._deadline_s))


async def _wait(own: _Own, part: Part) -> None:
    while not part.is_answered:
        if own.is_sending:
            bell = trio.Event()
            part.wake = bell.set
            await bell.wait()
            continue
        own.is_sending = True
        try:
            if own.box.was_shared:
                await trio.lowlevel.checkpoint()  # so that the others can come along again
            if write := own.box.next(trio.current_time()):
                await _send(own, write)
        finally:
            own.is_sending = False
            own.box.wake_next()


async def _send(own: _Own, write: Write) -> None:
    """Until it is answered. What is cancelled is sent again by who waits for it."""
    sender, enqueue = own.box.numbering.sender, own.way.store.enqueue
    while True:
        try:
            enqueued = await own.way.call(enqueue, sender, write.number, write.jobs)
        except Exception as error:
            pause_s = own.box.failed(error, trio.current_time())
        else:
            own.box.succeeded(enqueued)
            return
        if pause_s is None:
            return
        await trio.sleep(pause_s)
