"""Sends enqueues until they are answered, from ordinary code: without trio."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

import attrs

from trioq.client.outbox import BATCH_JOBS, Outbox, Part, Write
from trioq.core.calls import Enqueued, Enqueuer, NewJob
from trioq.store.redis import RedisStore

#: Whoever waits is woken. Where that is lost with who should have done it, as by Ctrl-C in that
#: very moment, it looks by itself after so long.
LOOK_S = 1.0


@attrs.define
class _Own:
    """What one process has: a child that was forked off has a sender of its own."""

    store: RedisStore
    box: Outbox = attrs.field(factory=Outbox)
    turn: threading.Lock = attrs.field(factory=threading.Lock)
    """Whose turn it is sends, and alone touches what is under way."""
    pid: int = attrs.field(factory=os.getpid)


class SyncOutbox:
    """Sends the jobs of several threads, also of forked children: together, where they meet.

    Args:
      opened: Opens a store for a process: called now, and in each forked child that sends.
    """

    def __init__(self, opened: Callable[[], RedisStore]) -> None:
        self._opened = opened
        self._own = _Own(opened())

    @property
    def id(self) -> str:
        """What the server knows the sender by."""
        return self._own.box.numbering.sender

    def send(
        self, jobs: Sequence[NewJob], within_s: float = math.inf, who: Enqueuer | None = None
    ) -> Enqueued:
        """Queue these jobs, all or none; tries for ten seconds to get an answer.

        Args:
          within_s: No other try is made after so long, where that is less. One that is under way
              isn't broken off.

        Raises:
          QueueFull, StoreBusy, StoreRefused: None of them is queued.
          MustWait: Likewise, and ``who`` is in line.
          StoreUnreachable: No answer; with ``sent``, they may be queued, or will be.
          StoreClosed: The connection was closed by its own program.
        """
        return self.finish(self.add(jobs, who), time.monotonic() + within_s)

    def start(self, jobs: Sequence[NewJob], who: Enqueuer | None = None) -> Part:
        """Begin to queue these jobs: a whole batch, if it is our turn, is on its way by then.

        What is less is most often the last: it goes when it is waited for.

        Somebody has to :meth:`finish` it, or to :meth:`leave`.
        """
        part = self.add(jobs, who)
        own = self._own
        try:
            if len(jobs) >= BATCH_JOBS and not own.turn.locked():
                with own.turn:
                    _start(own)
                own.box.wake_next()
        except BaseException:
            self.leave(part)
            raise
        return part

    def finish(self, part: Part, ends: float = math.inf) -> Enqueued:
        """What became of jobs that were added or started; see :meth:`send`.

        Args:
          ends: When there is no other try.
        """
        try:
            _wait(self._own, part, ends)
        except BaseException:
            self.leave(part)
            raise
        return part.result()

    def add(self, jobs: Sequence[NewJob], who: Enqueuer | None = None) -> Part:
        """Jobs that go with whatever is sent next."""
        if self._own.pid != os.getpid():
            self._own = _Own(self._opened())
        return self._own.box.add(jobs, who)

    def leave(self, part: Part) -> None:
        """Nobody waits for it any longer."""
        part.has_left = True
        self._own.box.wake_next()


def _start(own: _Own) -> None:
    """Send what is next, unless somebody has tried before; its answer is for whoever waits."""
    box, now = own.box, time.monotonic()
    if (write := box.next(now)) and write.is_new:
        write.is_new = False
        try:
            write.started = own.store.start_enqueue(
                box.numbering.sender, write.number, write.jobs, write.who
            )
        except Exception as error:
            box.failed(error, now)


def _wait(own: _Own, part: Part, ends: float) -> None:
    bell: SimpleQueue[None] | None = None
    while not part.is_answered:
        if not own.turn.locked():
            with own.turn:
                if not part.is_answered and (write := own.box.next(time.monotonic())):
                    _send(own, write, ends)
            own.box.wake_next()
        elif bell is None:
            # And then look again: the turn may have been given up before there was a bell.
            bell = SimpleQueue()
            part.wake = partial(bell.put, None)
        elif (left_s := ends - time.monotonic()) > 0:
            with suppress(Empty):
                bell.get(timeout=min(left_s, LOOK_S))
        else:
            raise own.box.late(part)


def _send(own: _Own, write: Write, ends: float) -> None:
    """Until it is answered. What Ctrl-C breaks off is sent again by who waits for it."""
    while True:
        started, write.started, write.is_new = write.started, None, False
        try:
            if started is not None:
                enqueued = started()
            else:
                enqueued = own.store.enqueue(
                    own.box.numbering.sender, write.number, write.jobs, who=write.who
                )
        except Exception as error:
            pause_s = own.box.failed(error, time.monotonic(), ends)
        else:
            own.box.succeeded(enqueued)
            return
        if pause_s is None:
            return
        time.sleep(pause_s)
