"""How much to claim ahead of the workers, by how long jobs have run lately.

With jobs of a second the engine makes a step for each that ends. With tiny ones it would make
thousands, each as dear as the jobs in it: so it claims a little ahead of the workers, and as
long as they have half of that before them, outcomes wait for company.
"""

from __future__ import annotations

import attrs

#: How much work to hold ahead of the workers, and the longest mean run for which it pays.
AHEAD_S = 0.010
AHEAD_MAX = 984
TINY_S = 0.0025


@attrs.define
class Ahead:
    """One boot's.

    Args:
      workers: How many jobs run at a time.
    """

    workers: int
    mean_run_s: float = attrs.field(default=TINY_S, init=False)
    """A moving average, so that the look-ahead follows when jobs get longer."""

    def ran(self, mean_s: float, count: int = 1) -> None:
        """So many have run, so long on the average."""
        self.mean_run_s += (1 - 0.9**count) * (mean_s - self.mean_run_s)

    def runs_at_least(self, run_s: float) -> None:
        """What runs takes so long, though none of it has ended to tell."""
        self.mean_run_s = max(self.mean_run_s, run_s)

    @property
    def jobs(self) -> int:
        """How many to hold ahead of the workers."""
        if self.mean_run_s >= TINY_S:
            return 0
        return min(AHEAD_MAX, int(self.workers * AHEAD_S / max(self.mean_run_s, 1e-5)))
