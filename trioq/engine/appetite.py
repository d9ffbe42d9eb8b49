"""How much an engine takes on while it is itself short of something.

An engine without file descriptors, processes, threads or memory can't start handlers; what it
claims goes back without having been run, and another engine could have had it. So it claims
nothing for a moment, then half as much as before; and twice as much with each while that it
gets along, until it is whole again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

#: Nothing is claimed for so long after something was wanting.
PAUSE_S = 1.0

#: Who gets along for so long may take on twice as much.
RECOVERY_S = 10.0


@attrs.define
class Appetite:
    """One engine's.

    Args:
      clock: A monotonic clock, in seconds.
      workers: What it takes on at a time when it has all that it needs.
    """

    clock: Callable[[], float]
    workers: int
    away: int = attrs.field(default=0, init=False)
    """Workers that are with handlers of which nobody knows whether they will ever end."""
    is_short: bool = attrs.field(default=False, init=False)
    """Whether something is wanting, or was when this was last looked at; costs nothing to ask."""
    _want: str | None = attrs.field(default=None, init=False)
    _starved_at: float = attrs.field(default=-math.inf, init=False)
    _after: int = attrs.field(default=1, init=False)
    """What it may take on after the pause."""

    def starved(self, want: str) -> None:
        """There was none of this left to start a handler with."""
        now = self.clock()
        if now < self._starved_at + PAUSE_S:
            return  # it was claimed with the one that has told already
        self._after = max(1, self._most(now) // 2)
        self._want, self._starved_at = want, now
        self.is_short = True

    @property
    def want(self) -> str | None:
        """What there is too little of; None: nothing. May be asked in any thread."""
        if self._want is not None and self._most(self.clock()) >= self.workers:
            self._want = None
            self.is_short = False
        return self._want

    def most(self) -> int:
        """How many jobs it may hold now."""
        most = self.workers if self.want is None else self._most(self.clock())
        return most if not self.away else min(most, self.workers - self.away)

    def _most(self, now: float) -> int:
        since_s = now - self._starved_at
        if since_s < PAUSE_S:
            return 0
        # Before anything was wanting that is an infinite time, and shifts need a bound.
        return min(self.workers, self._after << int(min(since_s / RECOVERY_S, 10)))
