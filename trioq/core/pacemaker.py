"""When to beat, and how long the lease lasts: pure, on any monotonic clock.

A thread drives it in production and a task in a simulation. The loop's thread extends the
lease too, with its steps, and takes no lock for it: at worst one of two extensions at the
same moment is lost, which makes the lease end earlier than it must, never later.
"""

from __future__ import annotations

import attrs

from trioq.errors import TrioqBug

#: Safety before the end of the lease, as a part of it: for cancelling what runs, and for
#: clocks that don't run equally fast.
MARGIN = 1 / 5

#: A beat is given up after this part of the lease: a late answer is worth less than a new beat.
DEADLINE = 1 / 4

#: A beat that failed is tried again within this part of the lease. An interval and a deadline of
#: a quarter each, and this: the next try is sent before the lease ends, margin and all.
RETRY_WITHIN = 1 / 5

#: Before the first retry, in seconds; doubled for each further failure.
FIRST_RETRY_S = 0.1

#: The last power of two that a float can hold.
MAX_DOUBLINGS = 1023


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
    """When the beat in flight was sent."""
    _good: float | None = attrs.field(default=None, init=False)
    """When the last beat or step that was answered well was sent."""
    lease_end: float | None = attrs.field(default=None, init=False)
    """Until when nobody else takes our jobs; None before the first answer, and when gone.

    A reaper sees the counter move at or after the moment of sending, and waits for a whole
    lease from there.
    """
    _failures: int = attrs.field(default=0, init=False)
    """In a row."""
    _spans: int = attrs.field(default=0, init=False)

    @property
    def deadline_s(self) -> float:
        """How long one beat may take."""
        return self.lease_s * DEADLINE

    def due(self, now: float) -> float:
        """Seconds until the next beat is due; 0: now."""
        return max(0.0, self._next - now)

    def sent(self, now: float) -> None:
        """A beat is about to be sent."""
        self._sent = now
        self._next = now + self.interval_s

    def answered(self, now: float, *, ok: bool) -> None:
        """The beat that was sent was answered, or failed.

        Raises:
          TrioqBug: None was sent since the last answer.
        """
        sent, self._sent = self._sent, None
        if sent is None:
            raise TrioqBug("a beat was answered that wasn't sent")
        if ok:
            self._failures = 0
            self.step_answered(sent, now)
            return
        wait_s = FIRST_RETRY_S * 2.0 ** min(self._failures, MAX_DOUBLINGS)
        self._failures += 1
        self._next = now + min(wait_s, self.lease_s * RETRY_WITHIN)

    def gone(self) -> None:
        """The beat that was sent was answered: the server doesn't know the boot any more."""
        self._sent = self._good = self.lease_end = None
        self._failures = 0

    def step_answered(self, sent: float, now: float) -> None:
        """A step is a sign of life too: it counts from before it was sent."""
        if not self.may_claim(now):
            self._spans += 1
        self._good = sent if self._good is None else max(self._good, sent)
        self.lease_end = self._good + self.lease_s * (1 - MARGIN)

    def may_claim(self, now: float) -> bool:
        """Whether more than half of the lease is left: no job starts on a dying lease."""
        return self._good is not None and now - self._good < self.lease_s / 2

    def span(self, now: float) -> int | None:
        """Numbers the spans of time in which signs of life were answered; None between two.

        Whoever was cut off for half a lease can't tell the others' silence from its own. A
        server that is read but not written (a replica, a full disk) cuts everybody off.
        """
        return self._spans if self.may_claim(now) else None
