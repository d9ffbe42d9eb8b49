"""The rooms in which jobs wait for limits, and when the next permit comes to each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import attrs

from trioq.core.limits import limit_of
from trioq.store import kept
from trioq.store.inspect.fields import scanned
from trioq.store.keys import Keys
from trioq.store.redis import RedisStore


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
