"""Moves what time moves: scheduled jobs when they are due, and parked jobs that nobody knows.

The server promotes in every step. This task sees to it that there is a step at the right
moment, because the timeout of a blocking command fires tens of milliseconds late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs
import trio

from trioq.core.events import ParkedExpired, Report
from trioq.core.formats import engine_info, history
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.errors import StoreBusy, StoreUnreachable

#: Looks in a row that find no engine for a name before jobs die of it. While all engines of a
#: name are restarted there is none for a moment, and the jobs may have waited for long before,
#: for another reason.
LOOKS = 3


@attrs.define
class Scheduler:
    """Two clocks.

    Args:
      next_due: When the next scheduled job is due, by trio's clock; infinity: none is.
      parked: All (queue, name) with parked jobs, as far as this engine has heard.
      poke: Asks for a step.
    """

    caller: Caller
    next_due: Callable[[], float]
    parked: Callable[[], tuple[tuple[str, str], ...]]
    poke: Callable[[], None]
    unknown_after_s: float
    outage: Outage
    report: Report
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _unknown: Counter[str] = attrs.field(factory=Counter[str], init=False)
    """Names, and how many looks in a row have found no engine for them."""

    async def run(self) -> None:
        """Promote and expire until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._promote)
            nursery.start_soon(self._expire)

    def due_changed(self) -> None:
        """The time of the next due job may be another."""
        self._changed.set()

    async def _promote(self) -> None:
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(self.next_due()):
                await self._changed.wait()
                continue
            self.poke()
            # The step that this asks for tells what is due next.
            await self._changed.wait()

    async def _expire(self) -> None:
        every_s = max(0.05, min(60.0, self.unknown_after_s / 4))
        while True:
            await trio.sleep(every_s)
            try:
                await self._expire_once()
                self.outage.answered("watch")
            except (StoreUnreachable, StoreBusy) as error:
                await self.outage.failed("watch", error)

    async def _expire_once(self) -> None:
        parked = self.parked()
        if not parked:
            self._unknown.clear()
            return
        store = self.caller.store
        infos = await self.caller.call(store.engines)
        known = {name for info in infos.values() for name in engine_info.decode(info).names}
        unknown = {name for _, name in parked} - known
        self._unknown = Counter({name: self._unknown[name] + 1 for name in unknown})
        after_ms = int(self.unknown_after_s * 1000)
        for queue, name in parked:
            if self._unknown[name] < LOOKS:
                continue
            message = f"no engine has known the name {name!r} for {self.unknown_after_s:g} s"
            line = history.died_without_run("unknown_name", message)
            while died := await self.caller.call(store.expire_parked, queue, name, after_ms, line):
                self.report(ParkedExpired(queue, name, died))
