"""Notices an engine that could work and doesn't: jobs are ready, workers idle, no claim.

A health check that asks only whether the process lives and Redis answers stays green while
such an engine does nothing, for hours. Whatever the reason is, this is what it looks like.
"""

from __future__ import annotations

import attrs


@attrs.define
class Standstill:
    """Told what was seen now and then; times are seconds of one monotonic clock."""

    _since: float | None = attrs.field(default=None, init=False)
    _claimed: int = attrs.field(default=-1, init=False)

    def saw(self, now: float, *, ready: int, idle: int, claimed: int) -> float:
        """How long it has stood still by now.

        Args:
          ready: Jobs that it could claim.
          idle: Workers without a job.
          claimed: How many jobs it has ever claimed.
        """
        could = ready > 0 and idle > 0 and claimed == self._claimed
        self._claimed = claimed
        if not could:
            self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        return now - self._since

    def forget(self) -> None:
        """There was a time without looks."""
        self._since, self._claimed = None, -1
