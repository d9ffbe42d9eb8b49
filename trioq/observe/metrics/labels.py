"""Names and queues as labels: bounded, whatever jobs come by.

A label that takes any value makes a new series for each, and ends with a Prometheus that
has no memory left. So only what the configuration and the app know is named; all else is
``other``.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from trioq.core.outcome import DeadReason, Error

OTHER = "other"

#: Of queues, and of handlers' names, so many are named.
NAMED = 100

#: Of the pairs of a queue and a name, so many have series of their own.
PAIRS = 200


def _first(names: Iterable[str]) -> frozenset[str]:
    return frozenset(list(names)[:NAMED])


@attrs.frozen
class Allowed:
    """What is named."""

    queues: frozenset[str] = attrs.field(converter=_first)
    names: frozenset[str] = attrs.field(converter=_first)

    def queue(self, queue: str) -> str:
        return queue if queue in self.queues else OTHER

    def name(self, name: str) -> str:
        return name if name in self.names else OTHER


@attrs.define
class FirstCome:
    """Names that nobody can know beforehand: those that came first are named."""

    _names: set[str] = attrs.field(factory=set[str], init=False)

    def __call__(self, name: str) -> str:
        """The label for it."""
        if name not in self._names and len(self._names) < NAMED:
            self._names.add(name)
        return name if name in self._names else OTHER


def why_failed(error: Error, dead: DeadReason | None = None) -> str:
    """One of :data:`~trioq.observe.metrics.catalogue.FAILURES`.

    Args:
      dead: Why the job is dead, if it is.
    """
    if dead in ("gave_up", "bad_payload", "bad_handler", "undecodable"):
        return dead
    return error.kind
