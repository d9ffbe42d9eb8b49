"""Sends numbered writes until they are answered: from trio, and from ordinary code.

Shared by all who write: clients and operators. A sender numbers its writes and sends one at a
time, so that one whose answer was lost can be sent again: the server executes each number once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from random import random
from typing import Concatenate, Generic, ParamSpec, TypeVar

import attrs
import trio

from trioq.core.numbering import Numbering
from trioq.engine.bridge import ThreadCaller
from trioq.errors import StoreBusy, StoreClosed, StoreError, StoreUnreachable
from trioq.store.redis import RedisStore

P = ParamSpec("P")
T = TypeVar("T")
Way = TypeVar("Way")
Turn = TypeVar("Turn")

#: How long a write tries to get an answer.
PATIENCE_S = 10.0

#: What Redis says when waiting a little helps.
_SHORT = ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN")


@attrs.define
class ResendPolicy:
    """Decides after each failure of one write whether to send it again."""

    ends: float
    """By the clock that :meth:`pause_s` is told the time of."""
    maybe_sent: bool = False
    """Whether a try that wasn't answered may have arrived."""
    tries: int = 0

    def pause_s(self, error: StoreError, now: float) -> float:
        """Seconds to wait before the next try; raises where there is none.

        Raises:
          StoreUnreachable: No answer. With ``sent``, the write may have been executed, or may
              be, also where the last answer was "no": that is only known to be no where no
              earlier try may have arrived.
          StoreBusy, StoreRefused: It wasn't executed.
        """
        self.maybe_sent |= isinstance(error, StoreUnreachable) and error.sent
        if now < self.ends and _passes(error):
            self.tries += 1
            return min(1.0, 0.02 * 2.0 ** min(self.tries, 8)) * random()
        if not self.maybe_sent or (isinstance(error, StoreUnreachable) and error.sent):
            raise error
        raise StoreUnreachable(f"{error}; an earlier try may have been executed") from error


def _passes(error: StoreError) -> bool:
    """Whether it's worth waiting for an end of this."""
    if isinstance(error, StoreBusy):
        return str(error).startswith(_SHORT)
    return isinstance(error, StoreUnreachable) and not isinstance(error, StoreClosed)


@attrs.define
class _Own(Generic[Way, Turn]):
    """What one process has of a sender: a way to the server, numbers, one turn at a time.

    A forked child that went on with its parent's numbers would be told "again" of what the
    parent has sent, and its own writes would be lost.
    """

    way: Way
    turn: Turn
    numbering: Numbering = attrs.field(factory=Numbering)
    pid: int = attrs.field(factory=os.getpid)


class SyncSender:
    """Sends from ordinary code. Several threads may share one, and forked children.

    Args:
      opened: Opens a store for a process: called now, and in each forked child that sends.
    """

    def __init__(self, opened: Callable[[], RedisStore]) -> None:
        self._opened = opened
        self._own = _Own(opened(), threading.Lock())

    @property
    def id(self) -> str:
        """What the server knows the sender by."""
        return self._own.numbering.sender

    def send(
        self,
        write: Callable[Concatenate[RedisStore, str, int, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Send one write, a method of the store, until it is answered, or for ten seconds.

        Raises:
          StoreUnreachable: No answer; with ``sent``, it may have been executed, or may be.
          StoreClosed: The connection was closed by its own program.
          StoreBusy, StoreRefused: It wasn't executed.
        """
        if self._own.pid != os.getpid():
            self._own = _Own(self._opened(), threading.Lock())
        own = self._own
        with own.turn:
            sender, number = own.numbering.next()
            policy = ResendPolicy(time.monotonic() + PATIENCE_S)
            while True:
                try:
                    return write(own.way, sender, number, *args, **kwargs)
                except StoreError as error:
                    time.sleep(policy.pause_s(error, time.monotonic()))


class Sender:
    """Sends from trio. Several tasks may share one; see :class:`SyncSender`.

    Args:
      deadline_s: How long one try may take, connecting included.
    """

    def __init__(self, opened: Callable[[], RedisStore], deadline_s: float) -> None:
        self._opened = opened
        self._deadline_s = deadline_s
        self._own = self._made()

    async def send(
        self,
        write: Callable[Concatenate[RedisStore, str, int, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Send one write; see :meth:`SyncSender.send`.

        Cancellation:
          At once. The write may have been executed, or may be; the next one has a number of
          its own, and what comes of this one later is refused.
        """
        if self._own.pid != os.getpid():
            self._own = self._made()
        own = self._own
        async with own.turn:
            sender, number = own.numbering.next()
            policy = ResendPolicy(trio.current_time() + PATIENCE_S)
            while True:
                try:
                    return await own.way.call(write, own.way.store, sender, number, *args, **kwargs)
                except StoreError as error:
                    await trio.sleep(policy.pause_s(error, trio.current_time()))

    def _made(self) -> _Own[ThreadCaller, trio.Lock]:
        return _Own(ThreadCaller(self._opened(), self._deadline_s), trio.Lock())
