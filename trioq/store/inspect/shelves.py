"""Where jobs of a state lie, shelf by shelf, each read from either end a page at a time.

A shelf is what one question reads: a queue's list, a door's, a room's part of a set. Whoever stops
on one can go on there, by its name and how many were read; who moves meanwhile may be missed, or
met again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import attrs

from trioq.core.formats.summary import Summary
from trioq.core.job import Uid
from trioq.store import kept
from trioq.store.inspect.counts import Stats
from trioq.store.inspect.doors import doors
from trioq.store.inspect.summaries import ended
from trioq.store.redis import RedisStore

State = Literal[
    "running", "ready", "limited", "scheduled", "parked", "dead", "done", "cancelled"
]  # fmt: skip

#: Those of jobs of which a summary is all that is kept.
ENDED: tuple[State, ...] = ("done", "cancelled")

#: Jobs read in one round trip, each with a record of at most 8 kB and its history.
PAGE = 100

Place = tuple[Uid, dict[str, Any]]
"""A job, and what its place tells of it: fields of a view, ``take``, ``door``, or ``summary``."""


@attrs.frozen
class Shelf:
    """One place where jobs lie."""

    name: str
    """The same at the next look."""
    read: Callable[[int], Sequence[Place]]
    """From so many on, at most a page; none: that was all."""

    def pages(self, start: int = 0) -> Iterator[Sequence[Place]]:
        """All of it, a page at a time."""
        while page := self.read(start):
            yield page
            start += len(page)


def shelves(
    store: RedisStore,
    state: State,
    counted: Stats,
    *,
    newest_first: bool,
    queues: Callable[[str], bool] = lambda queue: True,
    names: Callable[[str], bool] = lambda name: True,
) -> list[Shelf]:
    """Where the jobs of a state lie, in the order in which they are told.

    Args:
      counted: Which queues and engines there are.
      newest_first: Of each shelf those come first that come last, or were last to end.
      queues, names: Which are meant, where a shelf has those of one alone.
    """
    return WHERE[state](_Looking(store, state, counted, newest_first, queues, names))


@attrs.frozen
class _Looking:
    store: RedisStore
    state: State
    counted: Stats
    newest_first: bool
    queues: Callable[[str], bool]
    names: Callable[[str], bool]

    def those_with(self, state: str) -> list[str]:
        """The queues that are meant and have somebody in this state."""
        return [
            name
            for name, queue in self.counted.queues.items()
            if self.queues(name) and getattr(queue, state)
        ]

    def of_list(self, key: str, start: int) -> list[str]:
        """A page of a list whose oldest lies at the right."""
        ends = (start, start + PAGE - 1) if self.newest_first else (-start - PAGE, -start - 1)
        page = list(kept.texts(self.store.lane.call("LRANGE", key, *ends)))
        return page if self.newest_first else page[::-1]

    def of_prefix(self, name: str, queue: str, start: int) -> list[str]:
        """A page of the members that begin with a queue's name."""
        first, last = f"[{queue}\0", f"({queue}\1"
        ends = [last, first, "BYLEX", "REV"] if self.newest_first else [first, last, "BYLEX"]
        key = self.store.keys.fixed(name)
        return list(kept.texts(self.store.lane.call("ZRANGE", key, *ends, "LIMIT", start, PAGE)))

    def of_scores(self, key: str, start: int) -> list[tuple[Uid, int | None]]:
        """A page of a sorted set, with its scores as times."""
        ends = [start, start + PAGE - 1, *(["REV"] if self.newest_first else [])]
        flat = self.store.lane.call("ZRANGE", key, *ends, "WITHSCORES")
        uids = kept.texts(flat[::2])
        return [(uid, kept.time_ms(ms)) for uid, ms in zip(uids, flat[1::2], strict=True)]


def _running(it: _Looking) -> list[Shelf]:
    """All engines' together, by age: no more than there are workers, and a few ahead."""
    found: list[Place] | None = None

    def read(start: int) -> Sequence[Place]:
        nonlocal found
        if found is None:
            engines: dict[Uid, str] = {}
            for engine in it.counted.engines:
                running, packs = it.store.keys.held(engine.id)
                asked = [("HKEYS", running), ("HVALS", packs)]
                alone, together = it.store.lane.transaction(asked)
                for uids in (kept.texts(alone), *map(kept.pack_uids, together)):
                    engines |= dict.fromkeys(uids, engine.id)
            by_age = sorted(engines, reverse=it.newest_first)
            found = [(uid, {"engine": engines[uid]}) for uid in by_age]
        return found[start : start + PAGE]

    return [Shelf("", read)]


def _ready(it: _Looking) -> list[Shelf]:
    """Those with a fair key, whose turns come between the others', behind these."""
    found = list[Shelf]()
    for queue in it.those_with("ready"):
        of = it.store.keys.of

        def suspects(start: int, key: str = of("suspects", queue)) -> list[Place]:
            return [(uid, {}) for uid in it.of_list(key, start)]

        def ready(start: int, key: str = of("ready", queue)) -> list[Place]:
            return [(uid, {}) for uid in it.of_list(key, start)]

        def fair(start: int, queue: str = queue) -> list[Place]:
            return [(m.rpartition("\0")[2], {}) for m in it.of_prefix("fair", queue, start)]

        some = [
            Shelf(f"suspects {queue}", suspects),
            Shelf(f"ready {queue}", ready),
            Shelf(f"fair {queue}", fair),
        ]
        found += reversed(some) if it.newest_first else some
    return found


def _limited(it: _Looking) -> list[Shelf]:
    """Room by room."""

    def shelf(queue: str) -> Shelf:
        def read(start: int) -> list[Place]:
            page = it.of_prefix("limited", queue, start)
            rooms = [member.partition("\0")[2].rpartition("\0") for member in page]
            return [(uid, {"take": take}) for take, _, uid in rooms]

        return Shelf(queue, read)

    return [shelf(queue) for queue in it.those_with("limited")]


def _scheduled(it: _Looking) -> list[Shelf]:
    def shelf(queue: str) -> Shelf:
        key = it.store.keys.of("scheduled", queue)

        def read(start: int) -> list[Place]:
            return [(uid, {"due_ms": ms}) for uid, ms in it.of_scores(key, start)]

        return Shelf(queue, read)

    return [shelf(queue) for queue in it.those_with("scheduled")]


def _parked(it: _Looking) -> list[Shelf]:
    """Door by door."""
    found = list[Shelf]()
    for door in doors(it.store, it.counted):
        if it.queues(door.queue) and it.names(door.name):
            key = it.store.keys.of("parked", door.queue, door.called)

            def read(start: int, key: str = key, door: object = door) -> list[Place]:
                return [(uid, {"door": door}) for uid in it.of_list(key, start)]

            found.append(Shelf(f"{door.queue} {door.called}", read))
    return found


def _dead(it: _Looking) -> list[Shelf]:
    key = it.store.keys.fixed("dead")

    def read(start: int) -> list[Place]:
        return [(uid, {"died_ms": ms}) for uid, ms in it.of_scores(key, start)]

    return [Shelf("", read)]


def _ended(it: _Looking) -> list[Shelf]:
    """What is kept of them, of both states in the order of their ends."""
    at = 0
    left: Iterator[Summary] = iter(())

    def read(start: int) -> list[Place]:
        nonlocal at, left
        if start != at or not start:  # else it goes on where it stopped
            all_ = ended(it.store, newest_first=it.newest_first)
            at, left = start, islice((each for each in all_ if each.state == it.state), start, None)
        page = list(islice(left, PAGE))
        at += len(page)
        return [(each.uid, {"summary": each}) for each in page]

    return [Shelf("", read)]


WHERE: dict[State, Callable[[_Looking], list[Shelf]]] = {
    "running": _running,
    "ready": _ready,
    "limited": _limited,
    "scheduled": _scheduled,
    "parked": _parked,
    "dead": _dead,
    "done": _ended,
    "cancelled": _ended,
}
