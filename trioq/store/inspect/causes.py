"""How many jobs wait for what, and the oldest of them. Pure.

Each is counted where it lies, and for what has to come first: of a paused queue all that is ready
waits for its resume. What any engine could run now, had it a worker free, is ``ready``, also where
none lives that serves the queue: then one is what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import attrs

from trioq.store.inspect.counts import Stats
from trioq.store.inspect.doors import Door

Cause = Literal[
    "ready",  # a worker
    "limited",  # a slot or a permit of one of its limits
    "fair",  # a worker, and its turn among those with other keys
    "scheduled",  # its time
    "paused",  # the resume of its queue, of its name, or of its value of a limit's key
    "breaker",  # its name's breakers, none of which is closed
    "unknown_name",  # an engine that knows its name
    "unfit_payload",  # an engine with another version of its handler
]

CAUSES: tuple[Cause, ...] = get_args(Cause)

RUNNABLE: frozenset[Cause] = frozenset({"ready", "fair"})
"""Whoever waits for these could run now, were there a worker free."""


NOBODY: Mapping[str, int] = {}


@attrs.frozen
class Waiting:
    """Those of one queue that wait for one thing."""

    jobs: int = 0
    oldest_ms: int | None = None
    """How long one of them has been wanted at most, as far as the heads of lists tell."""

    def and_also(self, jobs: int, oldest_ms: int | None) -> Waiting:
        """With these."""
        ages = [age for age in (self.oldest_ms, oldest_ms) if age is not None]
        return Waiting(self.jobs + jobs, max(ages, default=None))


def waiting(
    counted: Stats,
    behind: Sequence[Door],
    *,
    plain_ms: Mapping[str, int],
    keyed_ms: Mapping[str, int],
    parked_ms: Mapping[tuple[str, str], int],
    paused_keys: Mapping[str, int] = NOBODY,
) -> dict[tuple[str, Cause], Waiting]:
    """Queue and cause → who waits; of each queue that is counted, for each cause.

    Args:
      plain_ms: Queue → how long its next ready job has been wanted, of those without a fair key.
      keyed_ms: The same of those with one.
      parked_ms: Queue and door → the same of those behind that door.
      paused_keys: Queue → how many of those that wait for limits do for a value of a key that is
        paused.
    """
    found = {(queue, cause): Waiting() for queue in counted.queues for cause in CAUSES}

    def add(queue: str, cause: Cause, jobs: int, oldest_ms: int | None = None) -> None:
        found[queue, cause] = found.get((queue, cause), Waiting()).and_also(jobs, oldest_ms)

    for name, queue in counted.queues.items():
        add(name, "scheduled", queue.scheduled)
        shut = min(queue.limited, paused_keys.get(name, 0))  # counted a moment later
        add(name, "paused", shut)
        add(name, "paused" if queue.paused else "limited", queue.limited - shut)
        plain = queue.ready - queue.fair
        add(name, "paused" if queue.paused else "ready", plain, plain_ms.get(name))
        add(name, "paused" if queue.paused else "fair", queue.fair, keyed_ms.get(name))
    for door in behind:
        oldest_ms = parked_ms.get((door.queue, door.called))
        add(door.queue, _cause(door), door.parked, oldest_ms)
    return found


def _cause(door: Door) -> Cause:
    if "paused" in door.why or "name_paused" in door.why:
        return "paused"
    if "unknown_name" in door.why:
        return "unknown_name"
    if door.unfit:
        return "unfit_payload"
    return "breaker" if "breaker" in door.why else "ready"
