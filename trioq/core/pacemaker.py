"""When to beat, and how long the lease lasts: pure, on any monotonic clock.

A thread drives it in production and a task in a simulation.
"""

from __future__ import annotations

import attrs

#: Safety before the end of the lease, as a part of it: for clock rates, not for clock times.
MARGIN = 0.2

#: A beat that isn't answered is tried again within this part of the lease.
RETRY_WITHIN = 1 / 5


@attrs.define
class Pacemaker:
    """The beats of one boot.

    Args:
      interval_s: Between two beats.
      lease_s: An engine whose counter stands still for so long is reaped.
    """

    interval_s: float
    lease_s: float
    _next: float = attrs.field(default=float("-inf"), init=False)
    _sent: float | None = attrs.field(default=None, init=False)
    _good: float | None = attrs.field(default=None, init=False)
    _failures: int = attrs.field(default=0, init=False)

    def due(self, now: float) -> float:
        """Seconds until the next beat is due; 0: now."""
        return max(0.0, self._next - now)

    def sent(self, now: float) -> None:
        """A beat is about to be sent."""
        self._sent = now
        self._next = now + self.interval_s

    def answered(self, now: float, *, ok: bool) -> None:
        """The beat that was sent was answered, or failed."""
        if ok:
            assert self._sent is not None
            self._extend(self._sent)
            self._failures = 0
        else:
            self._failures += 1
            backoff_s = min(0.05 * 2 ** min(self._failures, 10), self.lease_s * RETRY_WITHIN)
            self._next = now + backoff_s

    def step_answered(self, sent: float) -> None:
        """A step is a sign of life too: it counts from before it was sent."""
        self._extend(sent)

    @property
    def lease_end(self) -> float | None:
        """Until when nobody else takes our jobs; None before the first answer.

        A reaper sees the counter move at or after the moment of sending, and waits for a
        whole lease from there.
        """
        if self._good is None:
            return None
        return self._good + self.lease_s * (1 - MARGIN)

    def may_claim(self, now: float) -> bool:
        """Whether more than half of the lease is left: no job starts on a dying lease."""
        return self._good is not None and now - self._good < self.lease_s / 2

    def _extend(self, sent: float) -> None:
        self._good = sent if self._good is None else max(self._good, sent)
