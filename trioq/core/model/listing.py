"""Which schedules deployments list, and when those end that none does any more.

Each boot says what its configuration and its app list, as a whole. Of what boots of one app say
the newest holds: what nobody has said before. What is known and older doesn't come back by a boot
that is started with it, but once no boot that lives says the newer any more.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import attrs

from trioq.core.calls import BootId
from trioq.core.model.deployed import GRACE_MS, KEPT, KEPT_MS
from trioq.core.model.schedules import Schedules
from trioq.core.schedules.listed import NOTHING, RETIRED_AFTER_MS, Heard, Listed, SaidList


@attrs.frozen
class Deployment:
    """With one list."""

    digest: str
    since_ms: int
    """When it was first heard of."""
    gone_ms: int | None = None
    """Since when no boot that lives is of it."""

    @property
    def stored(self) -> str:
        """As it is kept."""
        return f"{self.digest} {self.since_ms} {'-' if self.gone_ms is None else self.gone_ms}"


@attrs.define
class Listing:
    """What is listed, of one namespace."""

    boots: dict[BootId, tuple[str, str]] = attrs.field(factory=dict[BootId, tuple[str, str]])
    """Of those that have said something: the digest, and whose."""
    known: dict[str, tuple[Deployment, ...]] = attrs.field(
        factory=dict[str, tuple[Deployment, ...]]
    )
    """App → its deployments, in the order in which they began; the last one's list holds."""
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
        self.known[said.app] = self._after(said, is_new, now_ms)
        retired = self._retire(schedules, now_ms)
        if self.known[said.app][-1].digest != said.digest:
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

    def _after(self, said: SaidList, is_new: bool, now_ms: int) -> tuple[Deployment, ...]:
        known = list(self.known.get(said.app, ()))
        if said.digest not in [each.digest for each in known]:
            known.append(Deployment(said.digest, now_ms))
        alive = {digest for digest, app in self.boots.values() if app == said.app}
        known = [_seen(each, each.digest in alive, now_ms) for each in known]
        # Who is started with another one says more than who may come back.
        if _is_over(known[-1], 0 if is_new else GRACE_MS, now_ms):
            while known and known[-1].gone_ms is not None:
                known.pop()
        return _without_old(known, now_ms)


def _seen(each: Deployment, is_alive: bool, now_ms: int) -> Deployment:
    if is_alive:
        return attrs.evolve(each, gone_ms=None)
    gone_ms = now_ms if each.gone_ms is None else min(each.gone_ms, now_ms)
    return attrs.evolve(each, gone_ms=gone_ms)


def _is_over(each: Deployment, after_ms: int, now_ms: int) -> bool:
    return each.gone_ms is not None and now_ms - each.gone_ms >= after_ms


def _without_old(known: Sequence[Deployment], now_ms: int) -> tuple[Deployment, ...]:
    n_over = len(known) - KEPT
    return tuple(
        each
        for nth, each in enumerate(known)
        if each is known[-1]
        or each.gone_ms is None
        or (nth >= n_over and not _is_over(each, KEPT_MS, now_ms))
    )
