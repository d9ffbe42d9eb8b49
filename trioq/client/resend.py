"""What every sender needs: numbers, one turn at a time, and when to send a write again."""

from __future__ import annotations

import os
from random import random
from typing import Generic, TypeVar

import attrs

from trioq.core.numbering import Numbering
from trioq.errors import StoreBusy, StoreClosed, StoreError, StoreUnreachable

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
            return backoff_s(self.tries)
        raise self.last(error)

    def last(self, error: StoreError) -> StoreError:
        """What is known after a failure that no other try follows: what :meth:`pause_s` raises."""
        if not self.maybe_sent or (isinstance(error, StoreUnreachable) and error.sent):
            return error
        unknown = StoreUnreachable(f"{error}; an earlier try may have been executed")
        unknown.__cause__ = error
        return unknown


def backoff_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row: up to one, at random."""
    return min(1.0, 0.02 * 2.0 ** min(failures, 8)) * random()


def _passes(error: StoreError) -> bool:
    """Whether it's worth waiting for an end of this."""
    if isinstance(error, StoreBusy):
        return str(error).startswith(_SHORT)
    return isinstance(error, StoreUnreachable) and not isinstance(error, StoreClosed)


@attrs.define
class Own(Generic[Way, Turn]):
    """What one process has of a sender: a way to the server, numbers, one turn at a time.

    A forked child that went on with its parent's numbers would be told "again" of what the
    parent has sent, and its own writes would be lost.
    """

    way: Way
    turn: Turn
    numbering: Numbering = attrs.field(factory=Numbering)
    pid: int = attrs.field(factory=os.getpid)
