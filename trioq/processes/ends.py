"""What follows when a child has ended: pure, from how it was and how it ended."""

from __future__ import annotations

from collections import deque

import attrs

from trioq.processes.plan import Phase

#: Exit codes, as docs/cli.md has them.
FAILED, WRONG_USE = 1, 2

#: So many ends in a minute, and it isn't bad luck.
ENDS = 5
MINUTE_S = 60.0

#: How long to wait before an ended child is replaced: doubled with each, up to the second.
FIRST_S, LONGEST_S = 0.5, 30.0


@attrs.frozen
class End:
    """How a child has ended."""

    phase: Phase
    """In which it was."""
    code: int
    """Its exit code; of one that was killed, the signal's number below 0."""
    lived_s: float
    saw_all_done: bool
    """Whether it was to end the whole once all is done, and has ended well."""


@attrs.frozen
class Follows:
    """What follows from it."""

    by_itself: bool = False
    """Whether nobody wanted it to end."""
    wait_s: float = 0.0
    """For how long none is started."""
    stop: int | None = None
    """The code that the whole ends with; None: it goes on."""
    told: str = ""
    """The event that tells it; empty: the end says all."""
    why: dict[str, str | float] = attrs.field(factory=dict[str, str | float])
    """What the event says."""


NOTHING = Follows()


@attrs.define
class Ends:
    """What is known of those that ended by themselves."""

    _ends: deque[float] = attrs.field(factory=lambda: deque(maxlen=ENDS), init=False)
    """When the last of them did."""
    _wait_s: float = attrs.field(default=FIRST_S, init=False)

    def what_follows(self, end: End, now: float, others_ready: bool) -> Follows:
        """One has ended, while not all were told to.

        Args:
          others_ready: Whether any other is ready.
        """
        if end.phase == "draining":
            return NOTHING
        if end.saw_all_done:
            return Follows(stop=0)
        if end.code != WRONG_USE or end.phase != "starting":
            return self.early(now, end.lived_s)
        if others_ready:  # what was deployed is wrong; what was there before goes on
            why: dict[str, str | float] = {"why": "wrong use", "again_in_s": LONGEST_S}
            return Follows(by_itself=True, wait_s=LONGEST_S, told="child_not_replaced", why=why)
        return Follows(by_itself=True, stop=WRONG_USE)  # it won't be better the next time

    def early(self, now: float, lived_s: float = 0.0) -> Follows:
        """One has ended by itself, after so long; or it couldn't be started at all."""
        self._ends.append(now)
        if len(self._ends) == ENDS and now - self._ends[0] < MINUTE_S:
            return Follows(by_itself=True, stop=FAILED, told="children_keep_ending")
        if lived_s >= MINUTE_S:
            self._wait_s = FIRST_S
        wait_s, self._wait_s = self._wait_s, min(LONGEST_S, 2 * self._wait_s)
        return Follows(by_itself=True, wait_s=wait_s)
