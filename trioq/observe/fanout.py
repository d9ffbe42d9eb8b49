"""Tells several listeners of an engine's events, each only what it wants to know.

There are two events for each job, so who wants which is found out once for each type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from trioq.core.events import OF_MANY, Event, Report


@runtime_checkable
class Choosy(Protocol):
    """A listener that doesn't want to be told everything."""

    def listener_for(self, kind: type[Event]) -> Callable[[Any], None] | None:
        """Who is told events of this type."""


def to_all(*listeners: Report) -> Report:
    """One listener for all of these."""
    told = _Told(listeners)

    def report(event: Event) -> None:
        told[type(event)](event)

    return report


class _Told(dict[type[Event], Report]):
    """Who is told events of a type, found out when there is the first."""

    def __init__(self, listeners: tuple[Report, ...]) -> None:
        self._listeners = listeners

    def __missing__(self, kind: type[Event]) -> Report:
        wanting = [_wanting(listener, kind) for listener in self._listeners]
        self[kind] = made = _each([tell for tell in wanting if tell is not None])
        return made


def _wanting(listener: Report, kind: type[Event]) -> Report | None:
    """Who is told events of this type, in a listener; None: nobody."""
    tell = listener.listener_for(kind) if isinstance(listener, Choosy) else None
    if kind in OF_MANY and tell is None:
        each = to_all(listener)
        if any(_wanting(listener, one) is not None for one in OF_MANY[kind]):
            return lambda event: _tell_of_each(event, each)
        return None
    return tell if isinstance(listener, Choosy) else listener


def _tell_of_each(event: Any, tell: Report) -> None:
    for one in event.each():
        tell(one)


def _each(tells: Sequence[Report]) -> Report:
    """One function that calls all of these; of one it is that itself."""
    if len(tells) == 1:
        return tells[0]

    def tell_each(event: Event) -> None:
        for tell in tells:
            tell(event)

    return tell_each
