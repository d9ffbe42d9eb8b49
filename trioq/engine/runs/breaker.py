"""Owns the circuit breakers: one for each job name, or for what several depend on.

When ``thumbnail`` fails all the time its jobs are parked and the others run. The
decisions are :mod:`trioq.core.breaker`'s; this task lets time pass for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import trio

from trioq.core import blame
from trioq.core.breaker import UNLIMITED, Breaker, Change, Permit, Settings, State, Verdict
from trioq.core.events import BreakerChanged, Report

#: What is to be said of a name of which nobody says anything.
PLAIN = blame.Breaker()


@attrs.frozen
class Guarded:
    """What a breaker is for: one job's handler, or what several handlers depend on."""

    name: str
    is_shared: bool = False


@attrs.define
class Breakers:
    """The breakers of one engine, made as names are first seen.

    Args:
      opened: Called when a door opens: parked jobs may be claimable.
      rules: What handlers say of theirs, by job name.
    """

    settings: Settings
    report: Report
    opened: Callable[[], None]
    rules: Mapping[str, blame.Breaker] = attrs.field(factory=dict[str, blame.Breaker])
    _breakers: dict[str, Breaker] = attrs.field(factory=dict[str, Breaker], init=False)
    """By job name; several may have the same."""
    _all: dict[Guarded, Breaker] = attrs.field(factory=dict["Guarded", Breaker], init=False)
    """Each once, by what it guards."""
    _tripped: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def run(self) -> None:
        """Turn open breakers half-open in time, until cancelled."""
        while True:
            times = (b.reopens_at(trio.current_time()) for b in self._all.values())
            next_time = min((t for t in times if t is not None), default=float("inf"))
            self._tripped = trio.Event()
            with trio.move_on_at(next_time):
                await self._tripped.wait()
            for guarded, breaker in self._all.items():
                if (change := breaker.poll(trio.current_time())) is not None:
                    self._tell(guarded, change)

    def of(self, name: str) -> Breaker:
        """That of this job name."""
        breaker = self._breakers.get(name)
        if breaker is None:
            guarded = self._guarded(name)
            if guarded not in self._all:
                self._all[guarded] = Breaker(self._rule(name).settings(self.settings))
            breaker = self._breakers[name] = self._all[guarded]
        return breaker

    def _rule(self, name: str) -> blame.Breaker:
        return self.rules.get(name, PLAIN)

    def _guarded(self, name: str) -> Guarded:
        """What the breaker of a job name is for."""
        rule = self._rule(name)
        return Guarded(name) if rule.name is None else Guarded(rule.name, is_shared=True)

    def succeeded(self, name: str, count: int, now: float) -> None:
        """So many runs that began while it was closed, and asked for no permit, were good.

        Of several it is told at once only where none of them can be what opens it.
        """
        if (change := self._breakers[name].succeeded(count, now)) is not None:
            self._tell(self._guarded(name), change)

    def admit(self, name: str, now: float) -> Permit | None:
        """A permit to run one job of this name, or None: park it."""
        breaker = self.of(name)
        if (change := breaker.poll(now)) is not None:
            self._tell(self._guarded(name), change)
        return breaker.admit(now)

    def record(self, name: str, permit: Permit, verdict: Verdict, now: float) -> None:
        """How it went; every permit comes back exactly once."""
        change = self._breakers[name].record(permit, verdict, now)
        if change is not None:
            self._tell(self._guarded(name), change)
        elif permit.is_probe:
            self.opened()  # it proved nothing: there is room for another probe

    def admits(self, name: str) -> int:
        """How many parked jobs of this name may be claimed now."""
        breaker = self._breakers.get(name)
        return UNLIMITED if breaker is None else breaker.room(trio.current_time())

    def states(self) -> Mapping[str, State]:
        """The state of each job name's. May be asked in any thread."""
        return {name: breaker.last_state for name, breaker in tuple(self._breakers.items())}

    def reopens_in_s(self, now: float) -> Mapping[str, float]:
        """When those that are open let a probe run, by job name. May be asked in any thread."""
        times = {name: breaker.reopens_at(now) for name, breaker in tuple(self._breakers.items())}
        return {name: at - now for name, at in times.items() if at is not None}

    def _tell(self, guarded: Guarded, change: Change) -> None:
        self.report(BreakerChanged(guarded.name, change.before, change.after))
        if change.after == "open":
            self._tripped.set()
        else:
            self.opened()
