"""Owns the circuit breakers: one for each job name.

When ``thumbnail`` fails all the time its jobs are parked and the others run. The
decisions are :mod:`trioq.core.breaker`'s; this task lets time pass for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import trio

from trioq.core.breaker import UNLIMITED, Breaker, Change, Permit, Settings, State, Verdict
from trioq.core.events import BreakerChanged, Report


@attrs.define
class Breakers:
    """The breakers of one engine, made as names are first seen.

    Args:
      opened: Called when a door opens: parked jobs may be claimable.
    """

    settings: Settings
    report: Report
    opened: Callable[[], None]
    _breakers: dict[str, Breaker] = attrs.field(factory=dict[str, Breaker], init=False)
    _tripped: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def run(self) -> None:
        """Turn open breakers half-open in time, until cancelled."""
        while True:
            times = (b.reopens_at(trio.current_time()) for b in self._breakers.values())
            next_time = min((t for t in times if t is not None), default=float("inf"))
            self._tripped = trio.Event()
            with trio.move_on_at(next_time):
                await self._tripped.wait()
            for name, breaker in self._breakers.items():
                if (change := breaker.poll(trio.current_time())) is not None:
                    self._tell(name, change)

    def of(self, name: str) -> Breaker:
        """That of this name."""
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = self._breakers[name] = Breaker(self.settings)
        return breaker

    def succeeded(self, name: str, count: int, now: float) -> None:
        """So many runs that began while it was closed, and asked for no permit, were good.

        Of several it is told at once only where none of them can be what opens it.
        """
        if (change := self._breakers[name].succeeded(count, now)) is not None:
            self._tell(name, change)

    def admit(self, name: str, now: float) -> Permit | None:
        """A permit to run one job of this name, or None: park it."""
        breaker = self.of(name)
        if (change := breaker.poll(now)) is not None:
            self._tell(name, change)
        return breaker.admit(now)

    def record(self, name: str, permit: Permit, verdict: Verdict, now: float) -> None:
        """How it went; every permit comes back exactly once."""
        change = self._breakers[name].record(permit, verdict, now)
        if change is not None:
            self._tell(name, change)
        elif permit.is_probe:
            self.opened()  # it proved nothing: there is room for another probe

    def admits(self, name: str) -> int:
        """How many parked jobs of this name may be claimed now."""
        breaker = self._breakers.get(name)
        return UNLIMITED if breaker is None else breaker.room(trio.current_time())

    def states(self) -> Mapping[str, State]:
        """The state of each, by name. May be asked in any thread."""
        return {name: breaker.last_state for name, breaker in tuple(self._breakers.items())}

    def _tell(self, name: str, change: Change) -> None:
        self.report(BreakerChanged(name, change.before, change.after))
        if change.after == "open":
            self._tripped.set()
        else:
            self.opened()
