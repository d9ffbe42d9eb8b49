"""Jobs by where they are, from either end: as many as are wanted, a page at a time.

A list that others change meanwhile isn't one moment's: whoever moves may be missed, but nobody is
told twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import attrs

from trioq.core.formats.record import decode
from trioq.core.formats.summary import Summary
from trioq.core.job import Uid
from trioq.errors import RecordUnreadable
from trioq.store import kept
from trioq.store.inspect import fields
from trioq.store.inspect.counting import stats
from trioq.store.inspect.counts import Stats
from trioq.store.inspect.doors import Door, doors
from trioq.store.inspect.living import JobFilter
from trioq.store.inspect.summaries import ended
from trioq.store.inspect.views import JobView, of_summary, views
from trioq.store.redis import RedisStore

State = Literal[
    "running", "ready", "limited", "scheduled", "parked", "dead", "done", "cancelled"
]  # fmt: skip

#: Those of jobs that have neither ended nor died.
LIVING: tuple[State, ...] = ("running", "ready", "limited", "scheduled", "parked")

#: Those of jobs of which a summary is all that is kept.
ENDED: tuple[State, ...] = ("done", "cancelled")

#: Jobs read in one round trip, each with a record of at most 8 kB and its history.
PAGE = 100

#: So many jobs that aren't meant are passed over; then it is given up.
PASSED_OVER = 10_000

Places = Iterator[list[tuple[Uid, dict[str, Any]]]]
"""Pages of jobs, each with what its place tells of it: fields of :class:`Listed` or its view."""


@attrs.frozen
class Listed:
    """A job, where it is and what it waits for."""

    view: JobView
    take: str | None = None
    """What it waits for, if it is limited."""
    door: Door | None = None
    """What it waits behind, if it is parked."""

    def as_json(self) -> dict[str, Any]:
        """The shape of a job of ``trioq jobs --json``."""
        shown = self.view.as_json()
        if self.take is not None:
            shown["take"] = self.take
        return shown if self.door is None else shown | {"door": self.door.as_json()}


@attrs.frozen
class Listing:
    """Some jobs of those that are meant."""

    jobs: list[Listed]
    has_more: bool
    """Whether there are more of them, or may be."""
    passed_over: int
    """Jobs that were looked at and weren't meant."""


def listing(
    store: RedisStore,
    states: Sequence[State],
    wanted: JobFilter,
    *,
    count: int,
    newest_first: bool = False,
    queues: Sequence[str] = (),
) -> Listing:
    """Jobs in these states: one state after the other, and in each queue after queue.

    Args:
      wanted: Which names and queues are meant; ids are not looked at.
      newest_first: Of a queue those come first that come last, or were last to end; else those
          that come next, or ended first.
      queues: The configured ones, which come first.
    """
    counted = stats(store, [*queues, *([wanted.queue] if wanted.queue else [])])
    found: dict[Uid, Listed] = {}
    passed_over = 0
    for state in states:
        for page, looked_at in _pages(store, state, wanted, counted, newest_first):
            passed_over += looked_at - len(page)
            found |= {each.view.uid: each for each in page if each.view.uid not in found}
            if len(found) > count or passed_over > PASSED_OVER:
                return Listing(list(found.values())[:count], True, passed_over)
    return Listing(list(found.values()), False, passed_over)


def all_jobs(store: RedisStore) -> list[JobView]:
    """All that are known, in the order in which they were made. There is no bound."""
    states = (*LIVING, "dead", *ENDED)
    there = listing(store, states, JobFilter(), count=sys.maxsize).jobs
    return sorted((each.view for each in there), key=lambda view: view.uid)


def _pages(
    store: RedisStore, state: State, wanted: JobFilter, counted: Stats, newest_first: bool
) -> Iterator[tuple[list[Listed], int]]:
    """Pages of those that are meant, and at how many was looked for each."""
    if state in ENDED:
        for some in _batches(ended(store, newest_first=newest_first)):
            yield [_ended(each) for each in some if _is_meant(each, state, wanted)], len(some)
        return
    for page in PLACES[state](store, wanted, counted, newest_first):
        (stored,) = fields.read(store, ["jobs"], [uid for uid, _ in page])
        meant = {uid: job for (uid, _), job in zip(page, stored, strict=True) if _has(wanted, job)}
        about = dict(page)
        shown = views(store, [*meant], [*meant.values()], state, with_big=False)
        yield [_listed(view, about[view.uid]) for view in shown], len(page)


def _listed(view: JobView, about: dict[str, Any]) -> Listed:
    of_view = {key: value for key, value in about.items() if key not in ("take", "door")}
    view = attrs.evolve(view, **of_view)
    return Listed(view, about.get("take"), about.get("door"))


def _has(wanted: JobFilter, stored: bytes | None) -> bool:
    if stored is None:
        return False  # it was cancelled and still lies there, or has just ended
    if wanted.name is None and wanted.queue is None:
        return True
    try:
        return wanted.allows(decode("", stored).record)
    except RecordUnreadable:
        return False


def _ended(told: Summary) -> Listed:
    return Listed(of_summary(told))


def _is_meant(told: Summary, state: State, wanted: JobFilter) -> bool:
    is_allowed = wanted.name in (None, told.name) and wanted.queue in (None, told.queue)
    return told.state == state and is_allowed


def _batches(all_: Iterable[Summary]) -> Iterator[list[Summary]]:
    left = iter(all_)
    while some := list(islice(left, PAGE)):
        yield some


# -- where they lie ----------------------------------------------------------------------------


def _running(store: RedisStore, wanted: JobFilter, counted: Stats, newest_first: bool) -> Places:
    engines: dict[Uid, str] = {}
    for engine in counted.engines:
        running, packs = store.keys.held(engine.id)
        alone, together = store.lane.transaction([("HKEYS", running), ("HVALS", packs)])
        for uids in (kept.texts(alone), *map(kept.pack_uids, together)):
            engines |= dict.fromkeys(uids, engine.id)
    by_age = sorted(engines, reverse=newest_first)
    for start in range(0, len(by_age), PAGE):
        yield [(uid, {"engine": engines[uid]}) for uid in by_age[start : start + PAGE]]


def _ready(store: RedisStore, wanted: JobFilter, counted: Stats, newest_first: bool) -> Places:
    """Those with a fair key, whose turns come between the others', behind these."""
    for queue in _queues(wanted, counted, "ready"):
        lists = [
            _from_list(store, store.keys.of("suspects", queue), newest_first),
            _from_list(store, store.keys.of("ready", queue), newest_first),
            _by_prefix(store, "fair", queue, newest_first),
        ]
        for pages in reversed(lists) if newest_first else lists:
            for page in pages:
                yield [(member.rpartition("\0")[2], {}) for member in page]


def _limited(store: RedisStore, wanted: JobFilter, counted: Stats, newest_first: bool) -> Places:
    """Room by room."""
    for queue in _queues(wanted, counted, "limited"):
        for page in _by_prefix(store, "limited", queue, newest_first):
            rooms = [member.partition("\0")[2].rpartition("\0") for member in page]
            yield [(uid, {"take": take}) for take, _, uid in rooms]


def _scheduled(store: RedisStore, wanted: JobFilter, counted: Stats, newest_first: bool) -> Places:
    for queue in _queues(wanted, counted, "scheduled"):
        for page in _by_score(store, store.keys.of("scheduled", queue), newest_first):
            yield [(uid, {"due_ms": ms}) for uid, ms in page]


def _parked(store: RedisStore, wanted: JobFilter, counted: Stats, newest_first: bool) -> Places:
    """Door by door."""
    for door in doors(store, counted):
        if wanted.queue in (None, door.queue) and wanted.name in (None, door.name):
            key = store.keys.of("parked", door.queue, door.called)
            for page in _from_list(store, key, newest_first):
                yield [(uid, {"door": door}) for uid in page]


def _dead(store: RedisStore, wanted: JobFilter, counted: Stats, newest_first: bool) -> Places:
    for page in _by_score(store, store.keys.fixed("dead"), newest_first):
        yield [(uid, {"died_ms": ms}) for uid, ms in page]


PLACES: dict[State, Callable[[RedisStore, JobFilter, Stats, bool], Places]] = {
    "running": _running,
    "ready": _ready,
    "limited": _limited,
    "scheduled": _scheduled,
    "parked": _parked,
    "dead": _dead,
}


def _queues(wanted: JobFilter, counted: Stats, state: str) -> list[str]:
    """Those that are meant and have somebody in this state."""
    return [
        name
        for name, queue in counted.queues.items()
        if wanted.queue in (None, name) and getattr(queue, state)
    ]


def _from_list(store: RedisStore, key: str, newest_first: bool) -> Iterator[list[str]]:
    """Pages of a list whose oldest lies at the right."""
    start = 0
    while True:
        first, last = (start, start + PAGE - 1) if newest_first else (-start - PAGE, -start - 1)
        page = kept.texts(store.lane.call("LRANGE", key, first, last))
        if not page:
            return
        yield list(page if newest_first else reversed(page))
        start += PAGE


def _by_prefix(store: RedisStore, name: str, queue: str, newest_first: bool) -> Iterator[list[str]]:
    """Pages of the members that begin with a queue's name."""
    first, last = f"[{queue}\0", f"({queue}\1"
    key = store.keys.fixed(name)
    while True:
        ends = [last, first, "BYLEX", "REV"] if newest_first else [first, last, "BYLEX"]
        page = list(kept.texts(store.lane.call("ZRANGE", key, *ends, "LIMIT", 0, PAGE)))
        if not page:
            return
        yield page
        first, last = (first, f"({page[-1]}") if newest_first else (f"({page[-1]}", last)


def _by_score(
    store: RedisStore, key: str, newest_first: bool
) -> Iterator[list[tuple[Uid, int | None]]]:
    """Pages of a sorted set, with its scores as times."""
    start = 0
    while True:
        ends = [start, start + PAGE - 1, *(["REV"] if newest_first else [])]
        flat = store.lane.call("ZRANGE", key, *ends, "WITHSCORES")
        if not flat:
            return
        uids = kept.texts(flat[::2])
        yield [(uid, kept.time_ms(ms)) for uid, ms in zip(uids, flat[1::2], strict=True)]
        start += PAGE
