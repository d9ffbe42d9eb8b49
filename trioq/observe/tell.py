"""Tells several listeners of an engine's events, each only what it wants to know.

There are two events for each job, so who wants which is found out once for each type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from trioq.core.events import Event, Report


@runtime_checkable
class Choosy(Protocol):
    """A listener that doesn't want to be told everything."""

    def listener_for(self, kind: type[Event]) -> Callable[[Any], None] | None:
        """Who is told events of this type."""


def to_all(*listeners: Report) -> Report:
    """One listener for all of these."""
    told: dict[type[Event], tuple[Callable[[Any], None], ...]] = {}

    def report(event: Event) -> None:
        kind = type(event)
        if kind not in told:
            told[kind] = tuple(_who_wants(kind, listeners))
        for tell in told[kind]:
            tell(event)

    return report


def _who_wants(kind: type[Event], listeners: tuple[Report, ...]) -> list[Callable[[Any], None]]:
    found = [
        listener.listener_for(kind) if isinstance(listener, Choosy) else listener
        for listener in listeners
    ]
    return [tell for tell in found if tell is not None]
