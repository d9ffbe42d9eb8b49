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
from trioq.core.schedules.listed import NOTHING, RETIRED_AFTER_MS, Heard, Listed, SaidList

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
    """App → of which list the schedules are."""
    owners: dict[str, str] = attrs.field(factory=dict[str, str])
    """Schedule → the app that lists it, or did; of those that clients have put none."""
    unlisted: dict[str, tuple[int, int | None]] = attrs.field(
        factory=dict[str, tuple[int, int | None]]
    )
    """Those that aren't listed any more → since when, and since when they are retired."""

    def hear(
        self,
        boot: BootId,
        said: SaidList,
        live: Container[BootId],
        schedules: Schedules,
        now_ms: int,
    ) -> Heard:
        """A boot says what it lists, again and again."""
        if said.digest == NOTHING and said.app not in self.known:
            return Heard("ok")
        is_new = boot not in self.boots
        told = {**self.boots, boot: (said.digest, said.app)}
        self.boots = {each: has for each, has in told.items() if each in live}
        alive = {digest for digest, app in self.boots.values() if app == said.app}
        known = after(self.known.get(said.app, ()), alive, said.digest, is_new, now_ms)
        self.known[said.app] = known
        retired = self._retire(schedules, now_ms)
        if known[-1].said != said.digest:
            return Heard("older", retired=retired)
        if self.held.get(said.app) == said.digest:
            return Heard("ok", retired=retired)
        if said.schedules is None:
            return Heard("rows", retired=retired)
        self.held[said.app] = said.digest
        taken = tuple(
            each.name for each in said.schedules if not self._put(each, said.app, schedules, now_ms)
        )
        names = {each.name for each in said.schedules}
        unlisted = tuple(
            sorted(
                name
                for name, app in self.owners.items()
                if app == said.app and name not in names and name not in self.unlisted
            )
        )
        self.unlisted |= dict.fromkeys(unlisted, (now_ms, None))
        return Heard("ok", taken, unlisted, retired, has_put=True)

    @property
    def retired(self) -> set[str]:
        """Those that make no ticks."""
        return {name for name, (_, at_ms) in self.unlisted.items() if at_ms is not None}

    @property
    def stored(self) -> dict[str, str]:
        """What isn't listed any more, as it is kept."""
        return {
            name: f"{since_ms} {'-' if at_ms is None else at_ms}"
            for name, (since_ms, at_ms) in self.unlisted.items()
        }

    def forget(self, name: str) -> None:
        """Somebody has put or removed a schedule by hand."""
        self.owners.pop(name, None)
        self.unlisted.pop(name, None)

    def _put(self, each: Listed, app: str, schedules: Schedules, now_ms: int) -> bool:
        name, owner = each.name, self.owners.get(each.name)
        is_free = owner is not None and name in self.unlisted
        if name in schedules.rows and owner != app and not is_free:
            return False
        _, retired_ms = self.unlisted.get(name, (0, None))
        schedules.put(name, each.row, each.next_ms, now_ms)
        if retired_ms is not None and each.next_ms is not None:
            schedules.ticks.put(name, each.next_ms)
        self.forget(name)
        self.owners[name] = app
        return True

    def _retire(self, schedules: Schedules, now_ms: int) -> tuple[str, ...]:
        over = [
            name
            for name, (since_ms, retired_ms) in self.unlisted.items()
            if retired_ms is None and now_ms - since_ms >= RETIRED_AFTER_MS
        ]
        for name in over:
            self.unlisted[name] = self.unlisted[name][0], now_ms
            schedules.ticks.drop(name)
        return tuple(sorted(over))
