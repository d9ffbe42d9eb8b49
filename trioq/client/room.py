"""Who enqueues into which queues waits where they are full, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import attrs

from trioq.core.calls import Enqueuer, MustWait, NewJob
from trioq.core.config import Config
from trioq.errors import QueueFull

Waiting = Callable[[MustWait], AbstractContextManager[object]]
"""What is entered around each wait for room."""

#: How long whoever leaves a line may take to say so; else the server finds out.
ASIDE_S = 0.1


@attrs.frozen
class Room:
    """The queues in which one waits for room."""

    queues: frozenset[str]

    @classmethod
    def of(cls, config: Config) -> Room:
        return cls(frozenset(q.name for q in config.queues if q.when_full == "wait"))

    def who(
        self, jobs: Sequence[NewJob], patience_s: float, name: Callable[[], str]
    ) -> Enqueuer | None:
        """Who would wait with these jobs; None: nobody.

        Args:
          name: Makes the name by which the client is told that there is room.
        """
        if patience_s <= 0 or not self.queues:
            return None
        return Enqueuer(name()) if any(job.queue in self.queues for job in jobs) else None


def none_came(full: MustWait, jobs: Sequence[NewJob], waited_s: float) -> QueueFull:
    """What is told to who has waited for long enough."""
    return QueueFull(full.queue, full.length, full.max_length, len(jobs), round(waited_s, 3))
