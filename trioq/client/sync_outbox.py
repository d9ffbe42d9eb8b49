"""Sends enqueues until they are answered, from ordinary code: without trio."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from queue import Empty, SimpleQueue

import attrs

from trioq.client.elsewhere import place
from trioq.client.outbox import BATCH_JOBS, Outbox, Part, Write
from trioq.core.calls import Enqueued, Enqueuer, NewJob
from trioq.errors import StoreUnreachable
from trioq.store.protocol import ClientStore

#: Whoever waits is woken. Where that is lost with who should have done it, as by Ctrl-C in that
#: very moment, it looks by itself after so long.
LOOK_S = 1.0


@attrs.define
class _Own:
    """What one process has: a child that was forked off has a sender of its own."""

    opened: Callable[[], ClientStore]
    box: Outbox = attrs.field(factory=Outbox)
    turn: threading.Lock = attrs.field(factory=threading.Lock)
    """Whose turn it is sends, and alone touches what is under way."""
    place: object = attrs.field(factory=place)

    @cached_property
    def store(self) -> ClientStore:
        """Made by who sends first."""
        return self.opened()


class SyncOutbox:
    """Sends the jobs of several threads, also of forked children: together, where they meet.

    Args:
      opened: Opens a store for a process: called in each that sends, forked children too.
      patience_s: For how long it tries; None: for ten seconds.
    """

    def __init__(self, opened: Callable[[], ClientStore], patience_s: float | None = None) -> None:
        self._opened = opened
        self._patience_s = patience_s
        self._own = self._made()

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
              isn't broken off but by a patience.

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
        self.begin(part)
        return part

    def begin(self, part: Part) -> None:
        """Have jobs that were added on their way, as :meth:`start` does."""
        own, began = self._own, time.monotonic()
        try:
            if len(part.jobs) >= BATCH_JOBS and not own.turn.locked():
                with own.turn:
                    _start(own)
                own.box.wake_next()
        except BaseException:
            self.leave(part)
            raise
        part.waited_s = time.monotonic() - began

    def end_of(self, part: Part, ends: float) -> float:
        """When whoever waits for it from now on makes no other try.

        Args:
          ends: The same, if patience lasts for longer. With that a try ends, too.
        """
        if self._patience_s is not None:
            part.by = time.monotonic() + self._patience_s - part.waited_s
        return min(ends, part.by)

    def finish(self, part: Part, ends: float = math.inf) -> Enqueued:
        """What became of jobs that were added or started; see :meth:`send`.

        Args:
          ends: When there is no other try.
        """
        try:
            self.drive(part, self.end_of(part, ends))
        except BaseException:
            self.leave(part)
            raise
        return part.result()

    def drive(self, part: Part, ends: float = math.inf) -> None:
        """Until it is answered, or left: send what is to be sent, or wait for who does.

        Raises:
          StoreUnreachable: There is no other try. It is to be left.
        """
        _wait(self._own, part, ends)

    def late(self, part: Part) -> StoreUnreachable:
        """What who can't wait any longer is told."""
        return self._own.box.late(part)

    def wake_next(self) -> None:
        """Somebody who sleeps is to go on, as nobody sends."""
        self._own.box.wake_next()

    def add(self, jobs: Sequence[NewJob], who: Enqueuer | None = None) -> Part:
        """Jobs that go with whatever is sent next."""
        if self._own.place != place():
            self._own = self._made()
        return self._own.box.add(jobs, who)

    def _made(self) -> _Own:
        return _Own(self._opened, Outbox(patience_s=self._patience_s))

    def leave(self, part: Part) -> None:
        """Nobody waits for it any longer."""
        part.has_left = True
        part.wake()  # a thread, where whoever left waits for one
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
    while not part.is_over:
        if not own.turn.locked():
            with own.turn:
                if not part.is_over and (write := own.box.next(time.monotonic())):
                    _send(own, write, ends, part.by)
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


def _send(own: _Own, write: Write, ends: float, by: float) -> None:
    """Until it is answered, or nobody waits for it. What Ctrl-C breaks off is sent again by who
    does."""
    store = own.store
    while write.is_wanted:
        started, write.started, write.is_new = write.started, None, False
        store.end_by(min(by, write.policy.ends))
        try:
            if started is not None:
                enqueued = started()
            else:
                enqueued = store.enqueue(
                    own.box.numbering.sender, write.number, write.jobs, who=write.who
                )
        except Exception as error:
            pause_s = own.box.failed(error, time.monotonic(), ends)
        else:
            own.box.succeeded(enqueued)
            return
        finally:
            store.end_by(math.inf)
        if pause_s is None:
            return
        time.sleep(pause_s)
