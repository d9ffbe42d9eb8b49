"""Who waits for room in queues that are full."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import attrs

from trioq.core.duration import roughly
from trioq.core.job import Uid
from trioq.store import kept
from trioq.store.inspect.fields import LOOKED, PAGE
from trioq.store.redis import RedisStore

#: Place, until, tried, jobs, most, client, queue, caller's id, as the scripts write them.
_PLACE = re.compile(rb"\d{1,16} (\d{1,15}) \d{1,15} (\d{1,9}) \d{1,9} \S+ (\S+) (.*)", re.DOTALL)


@attrs.frozen
class InLine:
    """Those of one queue that live: they have asked for themselves lately."""

    enqueues: int
    jobs: int
    """So many they want to enqueue."""
    since_ms: int | None
    """When the first of them made its job, by its own clock, epoch; None: it can't be told."""


@attrs.frozen
class Place:
    """Where one enqueue stands in line."""

    uid: Uid
    """Its first job's, by which it is known; and that one's caller's id, or nothing."""
    id: str
    queue: str
    jobs: int
    before: int
    """How many come before it, as far as they have asked for themselves lately."""
    since_ms: int | None

    def in_words(self, now_ms: int) -> str:
        """``it waits for room in low for 3 min: 2 enqueues come before it``."""
        says = f"it waits for room in {self.queue}"
        if self.since_ms is not None:
            says += f" for {roughly((now_ms - self.since_ms) / 1000)}"
        if not self.before:
            return f"{says}, as the first in line"
        come = "enqueue comes" if self.before == 1 else "enqueues come"
        return f"{says}: {self.before:,} {come} before it"


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
    return summed(_live(store))


def summed(places: Iterable[Place]) -> dict[str, InLine]:
    """Who waits for room in each queue, of these."""
    found: dict[str, InLine] = {}
    for each in places:
        first = found.get(each.queue) or InLine(0, 0, each.since_ms)
        found[each.queue] = InLine(each.before + 1, first.jobs + each.jobs, first.since_ms)
    return found


def place_of(store: RedisStore, id_or_uid: str) -> Place | None:
    """Where an enqueue stands, by its first job; None: it waits for no room. Of more than 10,000,
    some are looked through."""
    return next(
        (each for each in _live(store) if id_or_uid and id_or_uid in (each.uid, each.id)), None
    )


def _live(store: RedisStore) -> Iterator[Place]:
    """Those who have asked for themselves lately, of each queue in order."""
    now_ms = store.now_ms()
    before = Counter[str]()
    for uid, place in _places(store):
        told = _PLACE.fullmatch(place)
        if told is None or int(told[1]) <= now_ms:
            continue
        queue = kept.text(told[3])
        since_ms = made_ms(uid, now_ms)
        yield Place(uid, kept.text(told[4]), queue, int(told[2]), before[queue], since_ms)
        before[queue] += 1


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


def made_ms(uid: str, now_ms: int) -> int | None:
    """A uid begins with its time; others than ours may have made it."""
    try:
        made_ms = int(uid[:12], 16)
    except ValueError:
        return None
    return made_ms if 0 < made_ms <= now_ms else None
