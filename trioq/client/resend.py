"""What every sender needs: numbers, one turn at a time, and when to send a write again."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import random
from typing import Generic, Self, TypeVar

import attrs

from trioq.client.elsewhere import place
from trioq.core.numbering import Numbering
from trioq.errors import StoreBusy, StoreClosed, StoreError, StoreUnreachable
from trioq.store.protocol import ClientStore

T = TypeVar("T")
Way = TypeVar("Way")
Turn = TypeVar("Turn")

Write = Callable[[ClientStore, str, int], T]
"""Does something to the store that it is given, as this sender, by this number."""

Question = Callable[[ClientStore], T]
"""Asks the store that it is given."""

#: How long a write tries to get an answer.
PATIENCE_S = 10.0

#: Where a write has to end in time, its last try has so long, or a tenth of the time.
SPARE_S = 0.1

#: What Redis says when waiting a little helps.
_SHORT = ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN")


@attrs.define
class ResendPolicy:
    """Decides after each failure of one write whether to send it again."""

    ends: float
    """When there is no other try, by the clock that :meth:`pause_s` is told the time of."""
    by: float = math.inf
    """When a try that is under way ends, too."""
    spare_s: float = 0.0
    """The last try has so long: it is to find out something, and its error is told."""
    maybe_sent: bool = False
    """Whether a try that wasn't answered may have arrived."""
    tries: int = 0

    @classmethod
    def of(cls, patience_s: float | None, now: float, within_s: float = math.inf) -> Self:
        """Of a write that is sent now.

        Args:
          patience_s: For how long it tries to get an answer; None: as any other.
          within_s: For no longer than this.
        """
        if patience_s is None:
            return cls(now + min(within_s, PATIENCE_S))
        for_s = min(within_s, patience_s)
        return cls(now + for_s, now + patience_s, min(SPARE_S, for_s / 10))

    def pause_s(self, error: StoreError, now: float) -> float:
        """Seconds to wait before the next try; raises where there is none.

        Raises:
          StoreUnreachable: No answer. With ``sent``, the write may have been executed, or may
              be, also where the last answer was "no": that is only known to be no where no
              earlier try may have arrived.
          StoreBusy, StoreRefused: It wasn't executed.
        """
        self.maybe_sent |= isinstance(error, StoreUnreachable) and error.sent
        last_at = self.ends - self.spare_s
        if now < last_at and _passes(error):
            self.tries += 1
            return min(backoff_s(self.tries), last_at - now)
        raise self.last(error)

    def check(self, now: float) -> None:
        """Before the first try.

        Raises:
          StoreUnreachable: It has waited for its turn for all the time that it has.
        """
        if now >= self.by:
            raise StoreUnreachable("no answer in time, nor to calls before this one", sent=False)

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
    place: object = attrs.field(factory=place)
