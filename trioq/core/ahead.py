"""How much to claim ahead of the workers, by how long jobs have run and how large they were lately.

With jobs of a second the engine makes a step for each that ends. With tiny ones it would make
thousands, each as dear as the jobs in it: so it claims a little ahead of the workers, and as
long as they have half of that before them, outcomes wait for company.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from trioq.core.calls import BATCH_MAX, Claim, Step, StepReply

#: How much work to hold ahead of the workers, and the longest mean run for which it pays.
AHEAD_S = 0.010
AHEAD_MAX = 984
TINY_S = 0.0025

#: An answer with fewer bytes hasn't come short because of them.
FULL_BYTES = 1 << 18

#: How many bytes of big payloads to hold ahead of the workers.
AHEAD_BYTES = 8 << 20


@attrs.define
class Ahead:
    """One boot's.

    Args:
      workers: How many jobs run at a time.
    """

    workers: int
    mean_run_s: float = attrs.field(default=TINY_S, init=False)
    """A moving average, so that the look-ahead follows when jobs get longer."""

    mean_big_bytes: float = attrs.field(default=0.0, init=False)
    """A moving average too: of a job's payload, if it is one of those that are fetched."""

    fits: int = attrs.field(default=BATCH_MAX, init=False)
    """How many to ask for at most: a few more than an answer had room for."""

    def ran(self, mean_s: float, count: int = 1) -> None:
        """So many have run, so long on the average."""
        self.mean_run_s += (1 - 0.9**count) * (mean_s - self.mean_run_s)

    def runs_at_least(self, run_s: float) -> None:
        """What runs takes so long, though none of it has ended to tell."""
        self.mean_run_s = max(self.mean_run_s, run_s)

    def claimed(self, big_bytes: int, count: int) -> None:
        """So many were claimed, with so many bytes to be fetched for them."""
        if count and (big_bytes or self.mean_big_bytes):
            mean = big_bytes / count
            self.mean_big_bytes += (1 - 0.9**count) * (mean - self.mean_big_bytes)

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
        if self.mean_run_s >= TINY_S:
            return 0
        by_time = self.workers * AHEAD_S / max(self.mean_run_s, 1e-5)
        by_size = AHEAD_BYTES / max(self.mean_big_bytes, 1.0)
        return min(AHEAD_MAX, int(by_time), int(by_size))


def _bytes_of(claims: Iterable[Claim]) -> int:
    return sum(len(claim.stored) for claim in claims)
