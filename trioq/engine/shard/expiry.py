"""Lets parked jobs die whose name no engine has known for too long."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from trioq.core.events import ParkedExpired, Report
from trioq.core.formats import engine_info, history
from trioq.core.formats.door import name_of
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.errors import StoreBusy, StoreUnreachable

#: Looks in a row that find no engine for a name before jobs die of it, however short the time is
#: that they may wait: while all engines of a name are restarted there is none for a moment.
LOOKS = 3

#: Nobody has looked for a while when the last look is so many of the usual waits ago: an engine
#: that was stopped doesn't know what happened meanwhile.
GAP = 3


@attrs.frozen
class _Absence:
    """Each look has found no engine for a name."""

    since: float
    """By trio's clock, as all times here."""
    last: float
    looks: int = 0


@attrs.define(kw_only=True)
class Expiry:
    """One boot's.

    Args:
      parked: All (queue, door) with parked jobs, as far as the boot has heard.
      unknown_after_s: Jobs whose name nobody has known for so long are dead.
    """

    caller: Caller
    parked: Callable[[], tuple[tuple[str, str], ...]]
    unknown_after_s: float
    outage: Outage
    report: Report
    _unknown: dict[str, _Absence] = attrs.field(factory=dict[str, _Absence], init=False)
    """By name. The server's note of how long jobs have waited isn't enough: they may have waited
    for another reason, and each deployment may bring an engine that doesn't know them."""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await trio.sleep(self.every_s)
            try:
                await self._look()
                self.outage.answered("watch")
            except (StoreUnreachable, StoreBusy) as error:
                self._unknown.clear()  # who has not looked doesn't know
                await self.outage.failed("watch", error)

    @property
    def every_s(self) -> float:
        """How long it waits between two looks."""
        return max(0.05, min(60.0, self.unknown_after_s / 4))

    async def _look(self) -> None:
        parked = self.parked()
        if not parked:
            self._unknown.clear()
            return
        store = self.caller.store
        infos = await self.caller.call(store.engines)
        known = {name for info in infos.values() for name in engine_info.decode(info).names}
        self._note({name_of(door) for _, door in parked} - known)
        after_ms = int(self.unknown_after_s * 1000)
        for queue, door in parked:
            name = name_of(door)
            if not self._is_unknown(name):
                continue
            message = f"no engine has known the name {name!r} for {self.unknown_after_s:g} s"
            line = history.died_without_run("unknown_name", message)
            while died := await self.caller.call(store.expire_parked, queue, door, after_ms, line):
                self.report(ParkedExpired(queue, name, died))

    def _note(self, unknown: set[str]) -> None:
        """One look has found no engine for these names, and one for all others."""
        now = trio.current_time()
        fresh = _Absence(now, now)
        if any(now - each.last > GAP * self.every_s for each in self._unknown.values()):
            self._unknown.clear()
        absences = {name: self._unknown.get(name, fresh) for name in unknown}
        self._unknown = {
            name: attrs.evolve(absence, last=now, looks=absence.looks + 1)
            for name, absence in absences.items()
        }

    def _is_unknown(self, name: str) -> bool:
        """Whether no engine has known this name for the whole time, without a break."""
        absence = self._unknown.get(name)
        return (
            absence is not None
            and absence.looks >= LOOKS
            and trio.current_time() - absence.since >= self.unknown_after_s
        )
