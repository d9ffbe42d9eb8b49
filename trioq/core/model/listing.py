"""Which schedules deployments list, and when those end that none does any more.

Each boot says what its configuration and its app list, as a whole. Of what boots of one app say
the newest holds (:mod:`trioq.core.model.declarations`).
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import attrs

from trioq.core.calls import BootId
from trioq.core.model.declarations import Declaration, after
from trioq.core.model.schedules import Schedules
from trioq.core.schedules.listed import (
    NOTHING,
    RETIRED_AFTER_MS,
    TOLD_FOR_MS,
    TOLD_MAX,
    Heard,
    Listed,
    SaidList,
    Unlisted,
)

Known = Sequence[Declaration[str]]


@attrs.define
class Listing:
    """What is listed, of one namespace."""

    boots: dict[BootId, tuple[str, str]] = attrs.field(factory=dict[BootId, tuple[str, str]])
    """Of those that have said something: the digest, and whose."""
    known: dict[str, Known] = attrs.field(factory=dict[str, Known])
    """App → the digests of its deployments' lists, in the order in which they began; the last one
    holds."""
    held: dict[str, str] = attrs.field(factory=dict[str, str])
    """App → of which list the schedules are; behind a ``~``: but for some that others have."""
    owners: dict[str, str] = attrs.field(factory=dict[str, str])
    """Schedule → the app that lists it, or did; of those that clients have put none."""
    unlisted: dict[str, Unlisted] = attrs.field(factory=dict[str, Unlisted])
    """Those that aren't listed any more."""

    def hear(
        self,
        boot: BootId,
        said: SaidList,
        live: Container[BootId],
        schedules: Schedules,
        now_ms: int,
    ) -> Heard:
        """A boot says what it lists, again and again."""
        is_new = boot not in self.boots
        told = {**self.boots, boot: (said.digest, said.app)}
        self.boots = {each: has for each, has in told.items() if each in live}
        alive = {digest for digest, app in self.boots.values() if app == said.app}
        if (before := self.known.get(said.app)) is None:
            if said.digest == NOTHING:
                return Heard("ok")
            # Who has said so, and lives, is of an older deployment than the first one with a list.
            before = [Declaration(NOTHING, now_ms)] if NOTHING in alive else []
        known = after(before, alive, said.digest, is_new, now_ms)
        self.known[said.app] = known
        self._retire(schedules, now_ms)
        if known[-1].said != said.digest:
            return Heard("older", unlisted=self._told(now_ms))
        if self.held.get(said.app) == said.digest:
            return Heard("ok", unlisted=self._told(now_ms))
        if said.schedules is None:
            return Heard("rows", unlisted=self._told(now_ms))
        taken = tuple(
            each.name for each in said.schedules if not self._put(each, said.app, schedules, now_ms)
        )
        self.held[said.app] = ("~" if taken else "") + said.digest
        names = {each.name for each in said.schedules}
        for name, app in self.owners.items():
            if app == said.app and name not in names:
                self.unlisted.setdefault(name, Unlisted(name, now_ms, None))
        return Heard("ok", taken, self._told(now_ms))

    @property
    def retired(self) -> set[str]:
        """Those that make no ticks."""
        return {name for name, each in self.unlisted.items() if each.retired_ms is not None}

    def is_listed(self, name: str) -> bool:
        """Whether a deployment says that there is this schedule, or did less than an hour ago."""
        return name in self.owners and name not in self.retired

    def forget(self, name: str) -> None:
        """Somebody has put or removed a schedule by hand."""
        self.owners.pop(name, None)
        self.unlisted.pop(name, None)

    def _put(self, each: Listed, app: str, schedules: Schedules, now_ms: int) -> bool:
        name, owner = each.name, self.owners.get(each.name)
        is_free = owner is not None and name in self.unlisted
        if name in schedules.rows and owner != app and not is_free:
            return False
        is_retired = name in self.retired
        schedules.put(name, each.row, each.next_ms, now_ms)
        if is_retired and each.next_ms is not None:
            schedules.ticks.put(name, each.next_ms)
        self.forget(name)
        self.owners[name] = app
        return True

    def _retire(self, schedules: Schedules, now_ms: int) -> None:
        for name, each in self.unlisted.items():
            if each.retired_ms is None and now_ms - each.since_ms >= RETIRED_AFTER_MS:
                self.unlisted[name] = attrs.evolve(each, retired_ms=now_ms)
                schedules.ticks.drop(name)

    def _told(self, now_ms: int) -> tuple[Unlisted, ...]:
        """What isn't listed any more, or hasn't been for long."""
        recent = [
            each
            for _, each in sorted(self.unlisted.items())
            if each.retired_ms is None or now_ms - each.retired_ms < TOLD_FOR_MS
        ]
        return tuple(recent[:TOLD_MAX])
