"""The rooms in which jobs wait for limits, and when the next permit comes to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import attrs

from trioq.core.duration import roughly
from trioq.core.limits import limit_of, shown_limit
from trioq.store import kept
from trioq.store.inspect.fields import scanned
from trioq.store.keys import Keys
from trioq.store.redis import RedisStore

#: Takes that one request asks about.
PAGE = 500

#: Limits that are named.
NAMED = 3


@attrs.frozen
class Room:
    """Who waits in one queue for one take."""

    queue: str
    take: str
    jobs: int
    next_ms: int | None
    """When the permit comes that is waited for, epoch; None: they wait for a slot, or the next step
    looks."""

    @property
    def limit(self) -> str:
        """Whose room it is."""
        return limit_of(self.take)


def rooms(store: RedisStore, queue: str) -> tuple[Room, ...]:
    """Those of a queue in which somebody waits."""
    there = places(store, [queue])
    found = read(iter(store.lane.transaction(questions(store.keys, there))), there) if there else ()
    return tuple(room for room in found if room.jobs)


def waiting_for(store: RedisStore, takes: Sequence[str]) -> Counter[str]:
    """Queue → how many wait there for one of these."""
    counted = Counter[str]()
    for page in (takes[at : at + PAGE] for at in range(0, len(takes), PAGE)):
        lines = store.lane.call("HMGET", store.keys.fixed("rooms"), *page)
        there = [
            (queue, take)
            for take, line in zip(page, lines, strict=True)
            for queue in kept.text(line or b"").split("\n")
            if queue
        ]
        if there:
            found = read(iter(store.lane.transaction(questions(store.keys, there))), there)
            for room in found:
                counted[room.queue] += room.jobs
    return counted


def in_words(found: Sequence[Room], now_ms: int) -> str:
    """Which limits they are of, those first for which the most wait, and when the next starts:
    ``reports, the next in 9 min; stripe``."""
    jobs: Counter[str] = Counter()
    next_ms: dict[str, int] = {}
    for room in found:
        jobs[room.limit] += room.jobs
        if room.next_ms is not None:
            next_ms[room.limit] = min(room.next_ms, next_ms.get(room.limit, room.next_ms))
    names = [name for name, _ in jobs.most_common()]
    shown = [
        f"{shown_limit(name)}, the next in {roughly((next_ms[name] - now_ms) / 1000)}"
        if name in next_ms
        else shown_limit(name)
        for name in names[:NAMED]
    ]
    more = len(names) - NAMED
    return "; ".join(shown) + (f" and {more} more" if more > 0 else "")


def places(store: RedisStore, queues: Collection[str]) -> list[tuple[str, str]]:
    """Queue and take of the rooms of these queues; of more than 10,000 takes, of some."""
    return [
        (queue, take)
        for take, lines in scanned(store, "rooms")
        for queue in lines.split("\n")
        if queue in queues
    ]


def questions(keys: Keys, there: Sequence[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """The commands that count who is in these rooms; for one transaction."""
    if not there:
        return []
    members = [f"{queue}\0{take}" for queue, take in there]
    return [
        ("ZMSCORE", keys.fixed("permits"), *members),
        ("ZMSCORE", keys.fixed("open"), *members),
        *(("ZLEXCOUNT", keys.fixed("limited"), f"[{m}\0", f"({m}\1") for m in members),
    ]


def read(answers: Iterator[Any], there: Sequence[tuple[str, str]]) -> tuple[Room, ...]:
    """What they answer."""
    if not there:
        return ()
    permits, opened = next(answers), next(answers)
    return tuple(
        Room(queue, take, next(answers), None if is_open is not None else due and kept.time_ms(due))
        for (queue, take), due, is_open in zip(there, permits, opened, strict=True)
    )
