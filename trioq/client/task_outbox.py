"""Sends enqueues until they are answered, from trio; see :mod:`trioq.client.sync_outbox`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence

import attrs
import trio

from trioq.client.outbox import BATCH_JOBS, Outbox, Part, Write
from trioq.core.calls import Enqueued, Enqueuer, NewJob
from trioq.engine.bridge import ThreadCaller
from trioq.store.redis import RedisStore

#: Of the loop, for the others of the last write to come along again. In the first one it may be
#: our turn before theirs.
TURNS = 2


@attrs.define
class _Own:
    """What one process has: a child that was forked off has a sender of its own."""

    way: ThreadCaller
    box: Outbox = attrs.field(factory=Outbox)
    is_sending: bool = False
    """Whether it is somebody's turn, who alone touches what is under way."""
    pid: int = attrs.field(factory=os.getpid)

    def by(self, write: Write, by: float = math.inf) -> float:
        """When a try of this ends at the latest.

        Args:
          by: When whoever makes it goes at the latest.
        """
        return math.inf if self.box.patience_s is None else min(by, write.policy.ends)


class TaskOutbox:
    """Sends the jobs of several tasks: together, where they meet.

    Args:
      opened: Opens a store for a process: called now, and in each forked child that sends.
      deadline_s: How long one try may take, connecting included.
      patience_s: For how long it tries; None: for ten seconds.
    """

    def __init__(
        self,
        opened: Callable[[], RedisStore],
        deadline_s: float,
        patience_s: float | None = None,
    ) -> None:
        self._opened = opened
        self._patience_s = patience_s
        self._deadline_s = deadline_s
        self._own = self._made()

    async def send(
        self, jobs: Sequence[NewJob], within_s: float = math.inf, who: Enqueuer | None = None
    ) -> Enqueued:
        """Queue these jobs, all or none; see :meth:`~trioq.client.sync_outbox.SyncOutbox.send`.

        Cancellation:
          At once. What isn't under way by then is never queued. What is may be queued, or will
          be: a request that others wait for is sent again by one of them; else the next one has
          a number of its own, and what comes of this one later is refused.
        """
        return await self.finish(self._add(jobs, who), trio.current_time() + within_s)

    # Ctrl-C comes while it waits, as a cancellation does: others rely on what is done between.
    @trio.lowlevel.enable_ki_protection
    async def start(self, jobs: Sequence[NewJob], who: Enqueuer | None = None) -> Part:
        """Begin to queue these jobs; see :meth:`~trioq.client.sync_outbox.SyncOutbox.start`."""
        part = self._add(jobs, who)
        own = self._own
        try:
            if len(jobs) >= BATCH_JOBS and not own.is_sending:
                own.is_sending = True
                began = trio.current_time()
                try:
                    await _start(own)
                finally:
                    own.is_sending = False
                    own.box.wake_next()
                part.waited_s = trio.current_time() - began
        except BaseException:
            self.leave(part)
            raise
        return part

    @trio.lowlevel.enable_ki_protection
    async def finish(self, part: Part, ends: float = math.inf) -> Enqueued:
        """What became of jobs that were started; see :meth:`send`.

        Args:
          ends: When there is no other try.
        """
        if self._patience_s is not None:
            part.by = trio.current_time() + self._patience_s - part.waited_s
            ends = min(ends, part.by)
        try:
            await _wait(self._own, part, ends)
        except BaseException:
            self.leave(part)
            raise
        return part.result()

    def _add(self, jobs: Sequence[NewJob], who: Enqueuer | None) -> Part:
        if self._own.pid != os.getpid():
            self._own = self._made()
        return self._own.box.add(jobs, who)

    def leave(self, part: Part) -> None:
        """Nobody waits for it any longer."""
        part.has_left = True
        self._own.box.wake_next()

    def _made(self) -> _Own:
        way = ThreadCaller(self._opened(), self._deadline_s)
        return _Own(way, Outbox(patience_s=self._patience_s))


async def _start(own: _Own) -> None:
    """Send what is next, unless somebody has tried before; its answer is for whoever waits."""
    box, now = own.box, trio.current_time()
    if (write := box.next(now)) and write.is_new:
        write.is_new = False
        start, sender = own.way.store.start_enqueue, box.numbering.sender
        try:
            write.started = await own.way.call_by(
                own.by(write), start, sender, write.number, write.jobs, write.who
            )
        except Exception as error:
            box.failed(error, now)


async def _wait(own: _Own, part: Part, ends: float) -> None:
    while not part.is_answered:
        if own.is_sending:
            bell = trio.Event()
            part.wake = bell.set
            with trio.move_on_at(ends):
                await bell.wait()
                continue
            raise own.box.late(part)
        own.is_sending = True
        try:
            if own.box.was_shared:
                for _ in range(TURNS):
                    await trio.lowlevel.checkpoint()
            if write := own.box.next(trio.current_time()):
                await _send(own, write, ends, part.by)
        finally:
            own.is_sending = False
            own.box.wake_next()


async def _send(own: _Own, write: Write, ends: float, by: float) -> None:
    """Until it is answered. What is cancelled is sent again by who waits for it."""
    sender, enqueue = own.box.numbering.sender, own.way.store.enqueue
    while True:
        started, write.started, write.is_new = write.started, None, False
        try:
            if started is not None:
                enqueued = await own.way.call_by(own.by(write, by), started)
            else:
                enqueued = await own.way.call_by(
                    own.by(write, by), enqueue, sender, write.number, write.jobs, who=write.who
                )
        except Exception as error:
            pause_s = own.box.failed(error, trio.current_time(), ends)
        else:
            own.box.succeeded(enqueued)
            return
        if pause_s is None:
            return
        await trio.sleep(pause_s)
