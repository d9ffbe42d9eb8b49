"""Owns the circuit breakers: one for each job name, or for what several depend on.

When ``thumbnail`` fails all the time its jobs are parked and the others run. The
decisions are :mod:`trioq.core.breaker`'s; this task lets time pass for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import attrs
import trio

from trioq.core import blame
from trioq.core.breaker import UNLIMITED, Breaker, Change, Permit, Settings, State, Verdict
from trioq.core.calls import BreakerNews, BreakerSeen
from trioq.core.events import BreakerChanged, Report
from trioq.core.shared_breaker import SharedBreaker
from trioq.engine.status import ShutBreaker

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
    _shared: dict[Guarded, SharedBreaker] = attrs.field(
        factory=dict[Guarded, SharedBreaker], init=False
    )
    """Those of them that all engines of the namespace have together."""
    _resets: dict[Guarded, int] = attrs.field(factory=dict[Guarded, int], init=False)
    """Of this engine's own that aren't closed, how often the server knew them to be reset."""
    stirred: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the server should be asked sooner than was thought."""
    _tripped: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def run(self) -> None:
        """Turn open breakers half-open in time, until cancelled."""
        while True:
            own = [each for each in self._all.items() if each[0] not in self._shared]
            times = (b.reopens_at(trio.current_time()) for _, b in own)
            next_time = min((t for t in times if t is not None), default=float("inf"))
            self._tripped = trio.Event()
            with trio.move_on_at(next_time):
                await self._tripped.wait()
            for guarded, breaker in own:
                if (change := breaker.poll(trio.current_time())) is not None:
                    self._tell(guarded, change)

    def of(self, name: str) -> Breaker:
        """That of this job name."""
        breaker = self._breakers.get(name)
        if breaker is None:
            guarded = self._guarded(name)
            if guarded not in self._all:
                self._all[guarded] = self._made(name, guarded)
            breaker = self._breakers[name] = self._all[guarded]
        return breaker

    def _made(self, name: str, guarded: Guarded) -> Breaker:
        rule = self._rule(name)
        settings = rule.settings(self.settings)
        if not rule.shared:
            return Breaker(settings)
        shared = self._shared[guarded] = SharedBreaker(settings, guarded.name)
        return shared

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
        permit = breaker.admit(now)
        self._stir(breaker, now)
        return permit

    def record(self, name: str, permit: Permit, verdict: Verdict, now: float) -> None:
        """How it went; every permit comes back exactly once."""
        change = self._breakers[name].record(permit, verdict, now)
        if change is not None:
            self._tell(self._guarded(name), change)
        elif permit.is_probe:
            self.opened()  # it proved nothing: there is room for another probe
        self._stir(self._breakers[name], now)

    def admits(self, name: str) -> int:
        """How many parked jobs of this name may be claimed now."""
        breaker = self._breakers.get(name)
        if breaker is None:
            return UNLIMITED
        room = breaker.room(now := trio.current_time())
        self._stir(breaker, now)
        return room

    def states(self) -> Mapping[str, State]:
        """The state of each job name's. May be asked in any thread."""
        return {name: breaker.last_state for name, breaker in tuple(self._breakers.items())}

    def shared(self) -> frozenset[str]:
        """The job names whose breaker all engines share. May be asked in any thread."""
        return frozenset(name for name, rule in self.rules.items() if rule.shared)

    def shut(self) -> tuple[ShutBreaker, ...]:
        """Those that aren't closed. May be asked in any thread, where nobody has trio's clock."""
        of = {
            guarded: (breaker, state)
            for guarded, breaker in tuple(self._all.items())
            if (state := breaker.last_state) != "closed"
        }
        return tuple(
            ShutBreaker(
                guarded.name, jobs := self._behind(guarded), state, breaker.since,
                breaker.reopens_at(-math.inf), *breaker.found, guarded in self._shared,
                {job: named for job in jobs if (named := self._rule(job).named)},
            )
            for guarded, (breaker, state) in of.items()
        )  # fmt: skip

    def _behind(self, guarded: Guarded) -> tuple[str, ...]:
        """The job names that have this breaker."""
        if not guarded.is_shared:
            return (guarded.name,)
        return tuple(sorted(name for name in self.rules if self._guarded(name) == guarded))

    # -- what the server says of them ------------------------------------------------------

    def begin(self) -> None:
        """A new boot has told the server nothing yet."""
        for name, rule in self.rules.items():
            if rule.shared:
                self.of(name)
        for breaker in self._shared.values():
            breaker.begin()

    @property
    def due(self) -> float:
        """When the server should be asked at the latest; what is shared is asked about now and
        then besides."""
        return min((breaker.due for breaker in self._shared.values()), default=math.inf)

    def news(self) -> list[tuple[Guarded, BreakerNews]]:
        """What is to be told of those that are shared; and those of its own that aren't closed,
        as somebody may have reset them."""
        now = trio.current_time()
        return [
            (guarded, self._shared[guarded].news(now))
            if guarded in self._shared
            else (guarded, _own(guarded.name, breaker))
            for guarded, breaker in self._all.items()
            if guarded in self._shared or breaker.last_state != "closed"
        ]

    def heard(
        self, sent: Sequence[tuple[Guarded, BreakerNews]], seen: Sequence[BreakerSeen]
    ) -> None:
        """What the server has answered to that."""
        now = trio.current_time()
        for (guarded, news), each in zip(sent, seen, strict=True):
            if (shared := self._shared.get(guarded)) is not None:
                room = shared.granted
                change = shared.heard(news, each, now)
                if change is None and shared.granted > room:
                    self.opened()
            else:
                change = self._reset(guarded, each.resets, now)
            if change is not None:
                self._tell(guarded, change)

    def _reset(self, guarded: Guarded, resets: int, now: float) -> Change | None:
        """Close one of the engine's own, if somebody has reset it since it opened."""
        breaker = self._all[guarded]
        if breaker.last_state == "closed":
            return None
        # What was reset before it opened is told at once when it has, and isn't meant.
        known = self._resets.setdefault(guarded, resets)
        self._resets[guarded] = resets
        return breaker.reset(now) if resets > known else None

    def _stir(self, breaker: Breaker, now: float) -> None:
        if isinstance(breaker, SharedBreaker) and breaker.due <= now:
            self.stirred.set()

    def _tell(self, guarded: Guarded, change: Change) -> None:
        behind, is_shared = self._behind(guarded), guarded in self._shared
        self.report(BreakerChanged(guarded.name, change.before, change.after, behind, is_shared))
        if change.before == "closed" and guarded not in self._shared:
            self._resets.pop(guarded, None)
            self.stirred.set()
        if change.after == "open":
            self._tripped.set()
        else:
            self.opened()


def _own(name: str, breaker: Breaker) -> BreakerNews:
    """To hear whether one was reset that the server knows nothing else of."""
    cooldown_ms = round(breaker.settings.cooldown_s * 1000)
    return BreakerNews(name, cooldown_ms=cooldown_ms, turn=-1)
