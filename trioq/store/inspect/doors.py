"""Doors: which parked jobs wait behind what, since when, and why.

A job is parked under its queue and its name, by an engine that knows no such handler or whose
breaker for it isn't closed; or one whose handler its payload didn't fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from trioq.core.formats.door import name_of, named, unfit_of
from trioq.core.formats.snapshot import Snapshot
from trioq.core.job import Uid
from trioq.store.inspect.able import Engines, Hindrance
from trioq.store.inspect.counts import Stats
from trioq.store.inspect.snapshot import snapshots
from trioq.store.redis import RedisStore

Why = Literal["paused", "name_paused"] | Hindrance
"""``paused``: nobody claims from the queue; ``name_paused``: nobody is to run the name. For the
others see there."""

#: Engines of which snapshots are read.
ENGINES = 200


@attrs.frozen
class Door:
    """A queue and a name that jobs are parked under."""

    queue: str
    name: str
    parked: int
    since_ms: int | None
    """When the first of them came, or the last one that was claimed; epoch, the server's clock."""
    why: tuple[Why, ...]
    """Empty: they are claimed at the next look, as far as is known."""
    breakers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Engine → state of its breaker, where that isn't closed."""
    breaker: str | None = None
    """What it is called, if it is that: the name, or what several depend on."""
    shared: bool = False
    """Whether all engines have it together."""
    until_ms: int | None = None
    """When it lets one run, if it is open; epoch, the server's clock."""
    breaker_says: str = ""
    unfit: tuple[str, ...] = ()
    """The signatures that their payloads didn't fit: they wait for an engine with another."""

    @property
    def called(self) -> str:
        """What the door is called."""
        return named(self.name, self.unfit)

    @property
    def reasons(self) -> str:
        """Why, in words."""
        told = {
            "paused": f"{self.queue} is paused",
            "name_paused": f"{self.name} is paused",
            "no_engine": f"no engine serves {self.queue}",
            "draining": f"all engines that serve {self.queue} and know {self.name} are draining",
            "unknown_name": f"no engine that serves {self.queue} knows {self.name}",
            "unfit_payload": f"they fit no version of {self.name} that engines have",
            "breaker": self.breaker_says,
        }
        soon = "an engine takes them soon"
        if self.unfit:
            soon = f"they wait for the engines with another version of {self.name}"
        return ", ".join(told[each] for each in self.why) or soon

    def as_json(self) -> dict[str, Any]:
        """The shape of a door with ``--json``."""
        return attrs.asdict(self)


def doors(store: RedisStore, counted: Stats) -> list[Door]:
    """The doors that jobs wait behind, those with the most first."""
    if not counted.parked:
        return []
    told = snapshots(store, [engine.id for engine in counted.engines[:ENGINES]])
    return explained(counted, told)


def explained(counted: Stats, told: Mapping[str, Snapshot]) -> list[Door]:
    """The same, from what engines have told. Pure."""
    engines = Engines(counted, told)
    found = []
    for (queue, called), parked in counted.parked.items():
        name, unfit = name_of(called), unfit_of(called)
        able = engines.able(queue, name, unfit)
        paused = queue in counted.queues and counted.queues[queue].paused
        why: list[Why] = ["paused"] if paused else []
        why += ["name_paused"] if name in counted.pauses.names else []
        if able.why is not None:
            why.append(able.why)
        since_ms = counted.parked_since.get((queue, called))
        breakers = {engine: shut.state for engine, shut in able.shut.items()}
        door = Door(queue, name, parked, since_ms, tuple(why), breakers, unfit=tuple(sorted(unfit)))
        if (breaker := able.breaker) is not None:
            said = able.breaker_in_words(name)
            door = attrs.evolve(
                door,
                breaker=breaker.name,
                shared=breaker.shared,
                until_ms=breaker.until_ms,
                breaker_says=said,
            )
        found.append(door)
    return sorted(found, key=lambda door: (-door.parked, door.queue, door.called))


def door_of(store: RedisStore, uid: Uid, there: Sequence[Door]) -> Door | None:
    """The one of these, all of one name, that a job lies behind; None: it doesn't any more."""
    if len(there) < 2:
        return next(iter(there), None)
    lists = [store.keys.of("parked", door.queue, door.called) for door in there]
    places = store.lane.transaction([("LPOS", each, uid, "RANK", -1) for each in lists])
    found = (door for door, place in zip(there, places, strict=True) if place is not None)
    return next(found, None)
