"""Moves what time moves: scheduled jobs when they are due, and parked jobs that nobody knows.

The server promotes in every step. This task sees to it that there is a step at the right
moment, because the timeout of a blocking command fires tens of milliseconds late.
"""

from __future__ import annotations

from typing import Protocol

import attrs
import trio

from trioq.core.events import ParkedExpired, Report
from trioq.core.formats import engine_info, history
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.engine.shard.due import Due
from trioq.errors import StoreBusy, StoreUnreachable

#: Looks in a row that find no engine for a name before jobs die of it, however short the time is
#: that they may wait: while all engines of a name are restarted there is none for a moment.
LOOKS = 3


@attrs.frozen
class _Absence:
    """Each look has found no engine for a name."""

    since: float
    """By trio's clock."""
    looks: int = 0


class Steps(Protocol):
    """What the steps of a boot bring, and how to ask for one: the dispatcher."""

    due: Due

    @property
    def parked(self) -> tuple[tuple[str, str], ...]:
        """All (queue, name) with parked jobs, as far as this engine has heard."""

    def poke(self) -> None:
        """Ask for a step."""


@attrs.define(kw_only=True)
class Scheduler:
    """Two clocks.

    Args:
      steps: Of the boot that it works for.
      unknown_after_s: Jobs whose name nobody has known for so long are dead.
    """

    caller: Caller
    steps: Steps
    unknown_after_s: float
    outage: Outage
    report: Report
    _unknown: dict[str, _Absence] = attrs.field(factory=dict[str, _Absence], init=False)
    """By name. The server's note of how long jobs have waited isn't enough: they may have waited
    for another reason, and each deployment may bring an engine that doesn't know them."""

    async def run(self) -> None:
        """Promote and expire until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._promote)
            nursery.start_soon(self._expire)

    async def _promote(self) -> None:
        steps, due = self.steps, self.steps.due
        while True:
            with trio.move_on_at(due.at):
                await due.changed()
                continue
            steps.poke()
            # The step that this asks for tells what is due next.
            await due.changed()

    async def _expire(self) -> None:
        every_s = max(0.05, min(60.0, self.unknown_after_s / 4))
        while True:
            await trio.sleep(every_s)
            try:
                await self._expire_once()
                self.outage.answered("watch")
            except (StoreUnreachable, StoreBusy) as error:
                self._unknown.clear()  # who has not looked doesn't know
                await self.outage.failed("watch", error)

    async def _expire_once(self) -> None:
        parked = self.steps.parked
        if not parked:
            self._unknown.clear()
            return
        store = self.caller.store
        infos = await self.caller.call(store.engines)
        known = {name for info in infos.values() for name in engine_info.decode(info).names}
        self._note({name for _, name in parked} - known)
        after_ms = int(self.unknown_after_s * 1000)
        for queue, name in parked:
            if not self._is_unknown(name):
                continue
            message = f"no engine has known the name {name!r} for {self.unknown_after_s:g} s"
            line = history.died_without_run("unknown_name", message)
            while died := await self.caller.call(store.expire_parked, queue, name, after_ms, line):
                self.report(ParkedExpired(queue, name, died))

    def _note(self, unknown: set[str]) -> None:
        """One look has found no engine for these names, and one for all others."""
        fresh = _Absence(trio.current_time())
        absences = {name: self._unknown.get(name, fresh) for name in unknown}
        self._unknown = {n: attrs.evolve(a, looks=a.looks + 1) for n, a in absences.items()}

    def _is_unknown(self, name: str) -> bool:
        """Whether no engine has known this name for the whole time, without a break."""
        absence = self._unknown.get(name)
        return (
            absence is not None
            and absence.looks >= LOOKS
            and trio.current_time() - absence.since >= self.unknown_after_s
        )
