"""Suspects that a limit refuses: they keep their places, and wait for it all the same.

Whatever else a limit refuses lies in a room, and is counted there. Suspects are few, and each step
looks at the next ones again: so what it would say of them is found out here, where there are any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from trioq.core.formats import flow
from trioq.core.job import Uid
from trioq.store import kept
from trioq.store.inspect.limits import Taken, taken
from trioq.store.inspect.pauses import pauses
from trioq.store.inspect.rooms import Room
from trioq.store.keys import Keys
from trioq.store.redis import RedisStore

#: Of each queue so many that come next are looked at.
LOOKED = 100

Refused = Mapping[str, Mapping[Uid, Room]]
"""Queue → suspects, each with what it waits for as a room of its own."""


def refused(store: RedisStore, queues: Sequence[str]) -> Refused:
    """Those of the next suspects that a limit refuses now."""
    there = _next(store, queues)
    uids = [uid for each in there.values() for uid in each]
    rows = store.lane.call("HMGET", store.keys.fixed("flow"), *uids) if uids else []
    takes = {uid: flow.takes_of(kept.text(row)) for uid, row in zip(uids, rows, strict=True) if row}
    if not (asked := {take: None for each in takes.values() for take in each}):
        return {}
    known, paused = {each.take: each for each in taken(store, [*asked])}, pauses(store).takes
    found: dict[str, dict[Uid, Room]] = {}
    for queue, uid in ((queue, uid) for queue, each in there.items() for uid in each):
        why = _refusing([known[take] for take in takes.get(uid, ())], paused)
        if why is not None:
            found.setdefault(queue, {})[uid] = Room(queue, why.take, 1, _next_ms(why, paused))
    return found


def questions(keys: Keys, found: Refused) -> list[tuple[Any, ...]]:
    """The commands that ask whether these are still there; for one transaction."""
    return [
        question
        for queue, its in found.items()
        for question in (
            ("LRANGE", keys.of("suspects", queue), -LOOKED, -1),
            ("HMGET", keys.fixed("flow"), *its),
        )
    ]


def read(answers: Iterator[Any], found: Refused) -> tuple[Room, ...]:
    """What they answer: where those wait that are."""
    still = []
    for its in found.values():
        lying, rows = {*kept.texts(next(answers))}, next(answers)
        still += [
            room
            for (uid, room), row in zip(its.items(), rows, strict=True)
            if uid in lying and row is not None  # else somebody has it, or has cancelled it
        ]
    return tuple(still)


def _next(store: RedisStore, queues: Sequence[str]) -> dict[str, list[Uid]]:
    if not queues:
        return {}
    asked = [("LRANGE", store.keys.of("suspects", queue), -LOOKED, -1) for queue in queues]
    told = store.lane.pipeline(asked)
    return {queue: kept.texts(uids) for queue, uids in zip(queues, told, strict=True) if uids}


def _refusing(takes: Sequence[Taken], paused: Collection[str]) -> Taken | None:
    """What holds a job up that takes of these: what is shut, or has its permit last."""
    shut = next((each for each in takes if each.take in paused or each.is_full), None)
    if shut is not None:
        return shut
    return max((e for e in takes if e.next_ms), key=lambda e: e.next_ms or 0, default=None)


def _next_ms(why: Taken, paused: Collection[str]) -> int | None:
    return None if why.take in paused or why.is_full else why.next_ms
