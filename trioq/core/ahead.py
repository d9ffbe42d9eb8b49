"""How much to claim ahead of the workers: how soon they have had room lately, how large jobs were.

With jobs of a second the engine makes a step for each that ends. With short ones it would make
hundreds or thousands, each as dear as the jobs in it: so it claims what the workers will begin
within a moment, and as long as they have half of that before them, outcomes wait for company.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from trioq.core.calls import BATCH_MAX, HOLD_MAX, Claim, Step, StepReply

#: What will begin within this time is held ahead of the workers, and so many jobs at most.
AHEAD_S = 0.020
AHEAD_MAX = HOLD_MAX - 16

#: An answer with fewer bytes hasn't come short because of them.
FULL_BYTES = 1 << 18

#: How many bytes to hold ahead of the workers: of big payloads, and of what will come of them.
AHEAD_BYTES = 8 << 20


@attrs.define
class Ahead:
    """One boot's.

    Args:
      workers: How many jobs run at a time, as far as they wait for something.
    """

    workers: int
    gap_s: float = attrs.field(default=2 * AHEAD_S, init=False)
    """From a worker's room for a job to the next one's: a moving average, so that the look-ahead
    follows when jobs get longer."""

    mean_big_bytes: float = attrs.field(default=0.0, init=False)
    """A moving average too: of a job's payload, if it is one of those that are fetched."""

    mean_result_bytes: float = attrs.field(default=0.0, init=False)
    """And of what is kept of a run."""

    fits: int = attrs.field(default=BATCH_MAX, init=False)
    """How many to ask for at most: a few more than an answer had room for."""

    def ran(self, mean_s: float, count: int = 1) -> None:
        """So many have run, so long on the average, beside others."""
        self._next(mean_s / self.workers, count)

    def ran_alone(self, mean_s: float, count: int) -> None:
        """So many have run, so long on the average, and kept the others waiting meanwhile."""
        self._next(mean_s, count)

    def none_began(self, for_s: float) -> None:
        """No worker has had room for so long, and none has ended a job to tell."""
        self.gap_s = max(self.gap_s, for_s)

    def _next(self, gap_s: float, count: int) -> None:
        self.gap_s += (1 - 0.9**count) * (gap_s - self.gap_s)

    def claimed(self, big_bytes: int, count: int) -> None:
        """So many were claimed, with so many bytes to be fetched for them."""
        if count and (big_bytes or self.mean_big_bytes):
            mean = big_bytes / count
            self.mean_big_bytes += (1 - 0.9**count) * (mean - self.mean_big_bytes)

    def returned(self, result_bytes: int, count: int) -> None:
        """So many have run, with so many bytes of results to be kept."""
        if result_bytes or self.mean_result_bytes:
            mean = result_bytes / count
            self.mean_result_bytes += (1 - 0.9**count) * (mean - self.mean_result_bytes)

    def answered(self, step: Step, reply: StepReply) -> None:
        """How much of what a step asked for came back."""
        got = len(reply.claims)
        # The server looks at all that it is asked for, and answers with as many as have room.
        if got < step.want and reply.left and _bytes_of(reply.claims) >= FULL_BYTES:
            self.fits = got + got // 4 + 1
        else:
            self.fits = min(BATCH_MAX, 2 * self.fits)

    @property
    def jobs(self) -> int:
        """How many to hold ahead of the workers."""
        by_time = AHEAD_S / max(self.gap_s, 1e-6)
        # Results lie here as payloads do, while the server is away.
        by_size = AHEAD_BYTES / max(self.mean_big_bytes, self.mean_result_bytes, 1.0)
        return min(AHEAD_MAX, int(by_time), int(by_size))


def _bytes_of(claims: Iterable[Claim]) -> int:
    return sum(len(claim.stored) for claim in claims)
