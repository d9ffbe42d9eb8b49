"""Why a job, or a queue, doesn't run now: what is asked, of whom, and how little of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from trioq.core.formats import flow
from trioq.core.formats.snapshot import Snapshot
from trioq.core.formats.summary import Summary
from trioq.core.job import Uid
from trioq.store import kept
from trioq.store.inspect import turns
from trioq.store.inspect.counting import stats
from trioq.store.inspect.counts import Stats
from trioq.store.inspect.doors import ENGINES, Door, door_of, doors, explained
from trioq.store.inspect.in_line import Place, place_of
from trioq.store.inspect.jobs import find
from trioq.store.inspect.limits import before, taken, takes_of
from trioq.store.inspect.reasons import (
    NOT_HELD,
    Explanation,
    Held,
    Line,
    Reason,
    of_job,
    of_limits,
    of_line,
    of_queue,
    of_ready,
)
from trioq.store.inspect.rooms import rooms
from trioq.store.inspect.snapshot import abandoned_of, snapshots
from trioq.store.inspect.summaries import done
from trioq.store.inspect.views import JobView
from trioq.store.redis import RedisStore

NO_ONES: frozenset[str] = frozenset()

#: So many of those that are ready are looked through for one.
LOOKED = 10_000

#: The rate of a queue is told from so many that ended last, of all queues, and of this time.
LATELY = 1000
LATELY_MS = 60_000


def explain(store: RedisStore, id_or_uid: str, queues: Sequence[str] = ()) -> Explanation:
    """Why a job doesn't run now. Changes nothing, and takes some bounded round trips.

    Args:
      id_or_uid: The caller's own id, or the uid.
      queues: The configured ones.
    """
    view = find(store, id_or_uid, with_big=False)
    if view is None and (place := place_of(store, id_or_uid)) is not None:
        return of_place(place, id_or_uid, now_ms_of(store))
    if view is None:
        return unknown(id_or_uid)
    about = view.about
    queue = "" if about is None else about.queue
    counted = stats(store, [*queues, queue] if queue else queues)
    now_ms = now_ms_of(store)
    held = (
        _held(store, queue, view.uid)
        if view.state in ("ready", "scheduled", "parked")
        else NOT_HELD
    )
    is_limited = view.state == "ready" and held.waits_for is not None
    is_in_line = view.state == "ready" and queue and not is_limited
    line = _line(store, queue, view.uid, now_ms) if is_in_line else None
    state = "limited" if is_limited else view.state
    told = _told(store, counted)
    unfit = _unfit(store, view, explained(counted, told)) if view.state == "parked" else NO_ONES
    counted = abandoned_of(counted, told)
    reasons = of_job(view, counted, told, line, now_ms, held=held, unfit=unfit)
    return explanation(view, state, reasons)


def waits_for(store: RedisStore, view: JobView) -> str | None:
    """What a job waits for of a limit; None: for nothing of any."""
    if view.state != "ready" or (record := view.record) is None:
        return None
    place = before(store, record.queue, takes_of(store, view.uid), view.uid)
    return None if place is None else place[0]


def unknown(id: str) -> Explanation:
    """Of a job that nobody knows."""
    says = "there never was such a job, or it has ended and nothing is remembered of it"
    return Explanation("", id, "", "", "unknown", (Reason("unknown", says),))


def explanation(view: JobView, state: str, reasons: tuple[Reason, ...]) -> Explanation:
    """Of a job that there is."""
    about = view.about
    name, queue = ("", "") if about is None else (about.name, about.queue)
    return Explanation(view.uid, view.callers_id or view.uid, name, queue, state, reasons)


def of_place(place: Place, id: str, now_ms: int) -> Explanation:
    data = {
        "queue": place.queue,
        "before": place.before,
        "jobs": place.jobs,
        "since_ms": place.since_ms,
    }
    why = (Reason("full", place.in_words(now_ms), data),)
    return Explanation(place.uid, id, "", place.queue, "not enqueued", why)


def explain_queue(
    store: RedisStore, queue: str, queues: Sequence[str] = ()
) -> tuple[tuple[Reason, ...], Stats, tuple[Door, ...]]:
    """Why nobody claims from a queue; with what is counted, and what its parked jobs wait for."""
    counted = stats(store, [*queues, queue])
    told = _told(store, counted)
    behind = tuple(door for door in doors(store, counted) if door.queue == queue)
    now_ms = now_ms_of(store)
    stops = tuple(of_queue(queue, counted, told))
    has_ready = not stops and queue in counted.queues and counted.queues[queue].ready > 0
    reasons = (
        *stops,
        *(of_ready(queue, abandoned_of(counted, told), now_ms) if has_ready else ()),
        *of_limits(queue, counted, rooms(store, queue), now_ms),
        *of_line(queue, counted, now_ms),
    )
    return reasons, counted, behind


def _unfit(store: RedisStore, view: JobView, behind: Sequence[Door]) -> frozenset[str]:
    """The signatures that a parked job didn't fit."""
    if (record := view.record) is None:
        return NO_ONES
    where = record.queue, record.name
    door = door_of(store, view.uid, [each for each in behind if (each.queue, each.name) == where])
    return NO_ONES if door is None else frozenset(door.unfit)


def _told(store: RedisStore, counted: Stats) -> Mapping[str, Snapshot]:
    return snapshots(store, [engine.id for engine in counted.engines[:ENGINES]])


def now_ms_of(store: RedisStore) -> int:
    """The server's time, epoch."""
    return store.now_ms()


def _held(store: RedisStore, queue: str, uid: Uid) -> Held:
    """What a job takes of limits, and in which room it lies."""
    takes = takes_of(store, uid)
    place = before(store, queue, takes, uid)
    return Held(taken(store, takes), *(place or (None, 0)))


def _line(store: RedisStore, queue: str, uid: Uid, now_ms: int) -> Line:
    ready, suspects = store.keys.of("ready", queue), store.keys.of("suspects", queue)
    length, at, suspected = store.lane.transaction(
        [
            ("LLEN", ready),
            ("LPOS", ready, uid, "RANK", -1, "MAXLEN", LOOKED),
            ("LPOS", suspects, uid, "RANK", -1, "MAXLEN", LOOKED),
        ]
    )
    if suspected is not None:
        return Line(None, LOOKED, is_suspect=True)
    if at is None and (turn := _turn(store, uid)) is not None:
        place = store.lane.call(*turns.how_many_before(store.keys, queue, turn, uid))
        return Line(int(place), LOOKED, per_s=rate(done(store), queue, now_ms))
    # The oldest lies at the right.
    place = None if at is None else int(length) - 1 - int(at)
    return Line(place, LOOKED, per_s=rate(done(store), queue, now_ms))


def _turn(store: RedisStore, uid: Uid) -> str | None:
    """The tag of a job that has a fair key."""
    row = store.lane.call("HGET", store.keys.fixed("flow"), uid)
    found = None if row is None else flow.turn_in(kept.text(row))
    return None if found is None else found[0]


def rate(ended: Iterable[Summary], queue: str, now_ms: int) -> float | None:
    """How many of this queue have ended in a second lately; None: less than two.

    Args:
      ended: Summaries, the newest first.
    """
    lately = itertools.takewhile(
        lambda each: (each.at_ms or 0) > now_ms - LATELY_MS, itertools.islice(ended, LATELY)
    )
    times = [each.at_ms or 0 for each in lately if each.queue == queue]
    if len(times) < 2 or times[0] == times[-1]:
        return None
    return 1000 * (len(times) - 1) / (times[0] - times[-1])
