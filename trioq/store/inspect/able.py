"""Which engines may run a name's jobs of a queue, and why none may, as they have told. Pure.

What parked jobs wait for and why a job doesn't run is sorted here, once for both. An engine whose
breaker isn't closed stops only its own: as long as another may run the name, nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from trioq.core.formats.snapshot import Snapshot
from trioq.store.inspect.counts import EngineStats, Stats

Hindrance = Literal["no_engine", "draining", "unknown_name", "breaker"]
"""``no_engine``: none that lives serves the queue. ``draining``: all that could are about to leave.
``unknown_name``: of those that serve it none knows the name. ``breaker``: all that know it have a
breaker that isn't closed."""


@attrs.frozen
class ShutBreaker:
    """An engine's breaker that isn't closed."""

    state: str
    until_ms: int | None
    """When it lets a probe run, if it is open and that is known; epoch, by the engine's clock."""


@attrs.frozen
class Able:
    """Who of the engines that live may run a name's jobs of a queue."""

    serving: tuple[EngineStats, ...]
    """All that serve the queue."""
    knowing: tuple[EngineStats, ...]
    """Of these, those that know the name."""
    shut: Mapping[str, ShutBreaker]
    """Of these, those that stay and have a breaker for it that isn't closed, by engine."""
    why: Hindrance | None
    """Why nobody may; None: somebody may."""


class Engines:
    """Those of a namespace, with what they have told lately."""

    def __init__(self, counted: Stats, told: Mapping[str, Snapshot]) -> None:
        self._told = told
        self._names = {each.id: frozenset(each.info.names) for each in counted.engines}
        self._serving: dict[str, list[EngineStats]] = {}
        for each in counted.engines:
            for queue in each.info.queues:
                self._serving.setdefault(queue, []).append(each)

    def serving(self, queue: str) -> tuple[EngineStats, ...]:
        """Those that serve a queue."""
        return tuple(self._serving.get(queue, ()))

    def leaves(self, engine: EngineStats) -> bool:
        """Whether it drains: it claims nothing more."""
        told = self._told.get(engine.id)
        return told is not None and told.draining

    def able(self, queue: str, name: str) -> Able:
        """Who may run this name's jobs of this queue."""
        serving = self.serving(queue)
        knowing = tuple(each for each in serving if name in self._names[each.id])
        staying = [each for each in knowing if not self.leaves(each)]
        shut = {each.name: found for each in staying if (found := self._shut(each, name))}
        why: Hindrance | None = None
        if not serving:
            why = "no_engine"
        elif all(map(self.leaves, serving)):
            why = "draining"
        elif not knowing:
            why = "unknown_name"
        elif not staying:
            why = "draining"
        elif len(shut) == len(staying):
            why = "breaker"
        return Able(serving, knowing, shut, why)

    def _shut(self, engine: EngineStats, name: str) -> ShutBreaker | None:
        told = self._told.get(engine.id)
        if told is None or (state := told.breakers.get(name, "closed")) == "closed":
            return None
        return ShutBreaker(state, told.reopens_ms.get(name))
