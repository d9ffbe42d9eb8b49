"""Who waits for room in queues that are full."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from trioq.core.duration import roughly
from trioq.store import kept
from trioq.store.inspect.fields import LOOKED, PAGE
from trioq.store.redis import RedisStore

#: Place, until, tried, jobs, most, client, queue, as the scripts write them.
_PLACE = re.compile(rb"\d{1,16} (\d{1,15}) \d{1,15} (\d{1,9}) \d{1,9} \S+ (\S+)")


@attrs.frozen
class InLine:
    """Those of one queue that live: they have asked for themselves lately."""

    enqueues: int
    jobs: int
    """So many they want to enqueue."""
    since_ms: int | None
    """When the first of them made its job, by its own clock, epoch; None: it can't be told."""


def in_words(enqueues: int, jobs: int, since_ms: int | None, now_ms: int) -> str:
    """``2 enqueues wait for room for 5 jobs, the first for 3 min``."""
    who = "1 enqueue waits" if enqueues == 1 else f"{enqueues:,} enqueues wait"
    said = f"{who} for room for {jobs:,} job{'' if jobs == 1 else 's'}"
    if since_ms is None:
        return said
    since = roughly((now_ms - since_ms) / 1000)
    return f"{said}, {'' if enqueues == 1 else 'the first '}for {since}"


def in_line(store: RedisStore) -> dict[str, InLine]:
    """Queue → who waits for room in it, where somebody does; of more than 10,000, some."""
    seconds, micros = store.lane.call("TIME")
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    found: dict[str, InLine] = {}
    for uid, place in _places(store):
        told = _PLACE.fullmatch(place)
        if told is None or int(told[1]) <= now_ms:
            continue
        queue, jobs = kept.text(told[3]), int(told[2])
        first = found.get(queue) or InLine(0, 0, _made_ms(uid, now_ms))
        found[queue] = attrs.evolve(first, enqueues=first.enqueues + 1, jobs=first.jobs + jobs)
    return found


def _places(store: RedisStore) -> Iterator[tuple[str, bytes]]:
    """The uid of each one's first job, and its place; of each queue the first one first."""
    line, places = (store.keys.fixed(name) for name in ("enqueuers_line", "enqueuers"))
    for start in range(0, LOOKED, PAGE):
        members = store.lane.call("ZRANGEBYLEX", line, "-", "+", "LIMIT", start, PAGE)
        uids = [kept.text(member).rpartition("\0")[2] for member in members]
        told = store.lane.call("HMGET", places, *uids) if uids else ()
        yield from ((uid, place or b"") for uid, place in zip(uids, told, strict=True))
        if len(members) < PAGE:
            return


def _made_ms(uid: str, now_ms: int) -> int | None:
    """A uid begins with its time; others than ours may have made it."""
    try:
        made_ms = int(uid[:12], 16)
    except ValueError:
        return None
    return made_ms if 0 < made_ms <= now_ms else None
