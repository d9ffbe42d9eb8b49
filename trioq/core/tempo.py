"""Whether what runs in threads is so quick that one thread does best, by how long it took lately.

Threads that compute take the interpreter from each other, so tiny jobs are through soonest in
one thread, one after the other. Jobs that wait for something each want a thread of their own.
"""

from __future__ import annotations

import attrs

#: A job that takes as long as it takes to hand one to a thread of its own isn't quick.
QUICK_S = 0.0002

#: One that takes less than that is best taken by a thread that has just run another: to be handed a
#: thread of its own costs little beside what a longer one takes. On a machine that is short of time
#: jobs of 10 ms take several times as long, and shall not be dearer for it.
SHORT_S = 0.05

#: How much of the average the last run is.
WEIGHT = 0.2


@attrs.define
class Tempo:
    """Of one handler. It's a hint: threads may write it at the same time."""

    mean_s: float = attrs.field(default=0.0, init=False)
    """A moving average. Who hasn't run yet is taken for quick, which shows soon."""

    @property
    def is_quick(self) -> bool:
        """Whether the next job is best run in a row with others."""
        return self.mean_s < QUICK_S

    @property
    def is_long(self) -> bool:
        """Whether it is best handed to a thread by itself."""
        return self.mean_s >= SHORT_S

    def ran(self, took_s: float, count: int = 1) -> None:
        """So many have run, so long on the average."""
        self.mean_s += (1 - (1 - WEIGHT) ** count) * (took_s - self.mean_s)

    def runs_at_least(self, took_s: float) -> None:
        """One takes so long already."""
        self.mean_s = max(self.mean_s, took_s)
