"""Tells of handlers whose results nobody keeps: once of each, since most of them may well be so."""

from __future__ import annotations

import attrs

from trioq.core.events import Report, ResultDropped


@attrs.define(eq=False)
class Drops:
    """Those of one engine."""

    report: Report
    _told: set[str] = attrs.field(factory=set[str], init=False)

    def tell(self, name: str, queue: str) -> None:
        """A job of this name has returned something that isn't kept."""
        if name not in self._told:
            self._told.add(name)
            self.report(ResultDropped(name, queue))
