"""Which engines may run a name's jobs of a queue, and why none may, as they have told. Pure.

What parked jobs wait for and why a job doesn't run is sorted here, once for both. An engine whose
breaker isn't closed stops only its own: as long as another may run the name, nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Literal

import attrs

from trioq.core.formats.snapshot import Shut, Snapshot
from trioq.store.inspect.counts import EngineStats, Stats

Hindrance = Literal["no_engine", "draining", "unknown_name", "unfit_payload", "breaker"]
"""``no_engine``: none that lives serves the queue. ``draining``: all that could are about to leave.
``unknown_name``: of those that serve it, also where they leave, none knows the name.
``unfit_payload``: of those that do, none has a version of it that the payload may fit. ``breaker``:
all that know it have a breaker that isn't closed."""


#: Engines that are named as those whose breaker isn't closed.
NAMED = 3


@attrs.frozen
class ShutBreaker:
    """The breaker of a name that isn't closed, as an engine has it."""

    name: str
    """The job's, or what several depend on."""
    state: str
    until_ms: int | None = None
    """When it lets a probe run, if it is open and that is known; epoch, by the server's clock."""
    shared: bool = False
    """Whether all engines have it together."""
    on: tuple[str, ...] = ()
    """The classes of which alone errors count; empty: what is counted by default."""
    since_ms: int = 0


@attrs.frozen
class Able:
    """Who of the engines that live may run a name's jobs of a queue."""

    serving: tuple[EngineStats, ...]
    """All that serve the queue."""
    knowing: tuple[EngineStats, ...]
    """Of these, those that know the name."""
    fitting: tuple[EngineStats, ...]
    """Of these, those with a version of it that their payloads may fit: all, where nothing is known
    of that."""
    shut: Mapping[str, ShutBreaker]
    """Of these, those that stay and have a breaker for it that isn't closed, by engine."""
    why: Hindrance | None
    """Why nobody may; None: somebody may."""

    @property
    def breaker(self) -> ShutBreaker | None:
        """What all of them wait for: the one they share, or that of theirs which opens first."""
        shared = [each for each in self.shut.values() if each.shared]
        if shared:
            return max(shared, key=lambda each: each.since_ms)  # some have heard of it later
        return min(self.shut.values(), key=lambda each: each.until_ms or 0, default=None)

    def breaker_in_words(self, job: str, of: str = "") -> str:
        """``the breaker stripe of charge is open on a, half-open on b``.

        Args:
          of: Follows the breaker's name.
        """
        breaker = self.breaker
        name = "" if breaker is None or breaker.name == job else f" {breaker.name}"
        if breaker is not None and breaker.shared:
            state = _written(breaker.state)
            return f"the breaker{name}{of}, which all engines share, is {state}"
        shown = [f"{_written(shut.state)} on {who}" for who, shut in sorted(self.shut.items())]
        more = len(shown) - NAMED
        rest = f" and {more} more" if more > 0 else ""
        return f"the breaker{name}{of} is {', '.join(shown[:NAMED])}{rest}"


class Engines:
    """Those of a namespace, with what they have told lately."""

    def __init__(self, counted: Stats, told: Mapping[str, Snapshot]) -> None:
        self._told = told
        self._names = {each.id: frozenset(each.info.names) for each in counted.engines}
        self._serving: dict[str, list[EngineStats]] = {}
        for each in _current(counted.engines):
            for queue in each.info.queues:
                self._serving.setdefault(queue, []).append(each)

    def serving(self, queue: str) -> tuple[EngineStats, ...]:
        """Those that serve a queue."""
        return tuple(self._serving.get(queue, ()))

    @property
    def queues(self) -> list[str]:
        """Those that any of them serves."""
        return sorted(self._serving)

    def leaves(self, engine: EngineStats) -> bool:
        """Whether it drains: it claims nothing more."""
        told = self._told.get(engine.id)
        return told is not None and told.draining

    def able(self, queue: str, name: str, unfit: Set[str] = frozenset()) -> Able:
        """Who may run this name's jobs of this queue.

        Args:
          unfit: The signatures that their payloads don't fit. Who says none doesn't take them.
        """
        serving = self.serving(queue)
        knowing = tuple(each for each in serving if name in self._names[each.id])
        fitting = knowing
        if unfit:
            fitting = tuple(e for e in knowing if e.info.signatures.get(name) not in {None, *unfit})
        staying = [each for each in fitting if not self.leaves(each)]
        shut = {each.name: found for each in staying if (found := self._shut(each, name))}
        why: Hindrance | None = None
        if not serving:
            why = "no_engine"
        elif not knowing:
            why = "unknown_name"  # whoever comes after those that drain has to know it
        elif not fitting:
            why = "unfit_payload"
        elif not staying:
            why = "draining"
        elif len(shut) == len(staying):
            why = "breaker"
        return Able(serving, knowing, fitting, shut, why)

    def _shut(self, engine: EngineStats, name: str) -> ShutBreaker | None:
        told = self._told.get(engine.id)
        if told is None or (state := told.breakers.get(name, "closed")) == "closed":
            return None
        ahead_ms = round(1000 * told.clock_offset_s)
        until_ms = told.reopens_ms.get(name)
        until_ms = None if until_ms is None else until_ms + ahead_ms
        # An engine of an older version tells no more than its state.
        shut = next((each for each in told.shut if name in each.jobs), Shut(name, (), state, 0))
        on, since_ms = shut.on.get(name, ()), shut.since_ms + ahead_ms
        return ShutBreaker(shut.name, state, until_ms, shut.shared, on, since_ms)


def _current(engines: Sequence[EngineStats]) -> Iterator[EngineStats]:
    """Without those that have begun anew since: an engine has one boot at a time, and one whose
    registration got no answer, or that was lost, is there until it is reaped."""
    newest = {each.name: _started_ms(each) for each in sorted(engines, key=_started_ms)}
    return (each for each in engines if _started_ms(each) == newest[each.name])


def _started_ms(engine: EngineStats) -> int:
    return engine.info.started_ms or 0


def _written(state: str) -> str:
    return state.replace("_", "-")
