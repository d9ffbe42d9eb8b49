"""Numbered writes, and when to send one again.

Shared by all who write: clients and operators. The server runs each number of a sender once.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from random import random

import attrs

from trioq.core.job import Uid
from trioq.errors import EnqueueUnknown, StoreBusy, StoreError, StoreUnreachable

#: How long a write tries to get an answer.
PATIENCE_S = 10.0

#: What Redis says when waiting a little helps.
_SHORT = ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN")


@attrs.define
class Numbering:
    """One sender: numbers its writes, and knows when to try an unanswered one again."""

    sender: str = attrs.field(factory=lambda: secrets.token_hex(16))
    number: int = 0

    def next(self) -> int:
        self.number += 1
        return self.number


@attrs.define
class Patience:
    """Decides after each failure of one request whether to send it again."""

    ends: float
    """By the clock that :meth:`pause_s` is told the time of."""
    uids: Sequence[Uid] = ()
    """The jobs of an enqueue, of which nobody knows if it isn't answered."""
    maybe_sent: bool = False
    tries: int = 0

    def pause_s(self, error: StoreError, now: float) -> float:
        """Seconds to wait before the next try; raises where there is none.

        "No" is only known to be no where no earlier try may have arrived.
        """
        if isinstance(error, StoreUnreachable):
            self.maybe_sent |= error.sent
            is_over = now >= self.ends
        else:
            is_over = now >= self.ends or not _passes(error)
        if is_over and self.maybe_sent and self.uids:
            raise EnqueueUnknown(self.uids) from error
        if is_over:
            raise error
        self.tries += 1
        return min(1.0, 0.02 * 2.0 ** min(self.tries, 8)) * random()


def _passes(error: StoreError) -> bool:
    """Whether it's worth waiting for an end of this."""
    return isinstance(error, StoreBusy) and str(error).startswith(_SHORT)
