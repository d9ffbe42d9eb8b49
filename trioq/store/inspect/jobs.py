"""Finding jobs: by id, at the head of a queue, in an engine's hands."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import chain
from typing import Any

import attrs

from trioq.core.formats import summary
from trioq.core.formats.record import decode
from trioq.core.job import Record, Uid
from trioq.errors import RecordUnreadable, StoreBusy, StoreRefused
from trioq.store import kept
from trioq.store.inspect import fields, turns
from trioq.store.inspect.moment import TRIES
from trioq.store.inspect.remembered import remembered, said
from trioq.store.inspect.snapshot import watch
from trioq.store.inspect.views import JobView, views
from trioq.store.redis import RedisStore

#: Jobs read in one round trip, each with a record of at most 8 kB and its history.
PAGE = 100

#: Callers' ids looked up in one round trip.
IDS = 1000


def find(store: RedisStore, id_or_uid: str, *, with_big: bool = True) -> JobView | None:
    """A job by its caller's id or its uid, wherever it is; None: nobody knows it.

    Args:
      with_big: Also with a payload that lies apart.
    """
    for _ in range(2):  # a job can end between two looks, and then lies among those that have
        known = store.lane.call("HGET", store.keys.fixed("ids"), id_or_uid)
        state, uid = said(id_or_uid, known)
        if not state and (view := _living(store, uid, with_big)) is not None:
            return view
        if view := remembered(store, {id_or_uid: known}).get(id_or_uid):
            return view
    return None


def record(store: RedisStore, uid: Uid) -> Record | None:
    """A job that hasn't been forgotten, as it was enqueued; None: it has.

    Raises:
      RecordUnreadable: It isn't a job that this version can read.
    """
    ((stored,),) = fields.read(store, ["jobs"], [uid])
    return None if stored is None else decode(uid, stored).record


def uids_of(store: RedisStore, ids: Sequence[str]) -> dict[str, Uid]:
    """The uids of jobs that live or are dead, by their caller's ids or by their uids."""
    found: dict[str, Uid] = {}
    for start in range(0, len(ids), IDS):
        page = ids[start : start + IDS]
        known = store.lane.call("HMGET", store.keys.fixed("ids"), *page)
        for id, uid in zip(page, known, strict=True):
            if uid is None:
                found[id] = id
            elif b":" not in uid:  # "state:uid" is what is remembered of a job that has ended
                found[id] = kept.text(uid)
    return found


def peek(store: RedisStore, queue: str, count: int) -> list[JobView]:
    """The jobs of a queue that would be claimed next, in that order; those with a fair key, whose
    turns come between the others', behind these.

    What is parked isn't among them: it depends on who claims.
    """
    found: dict[Uid, JobView] = {}
    for kind in ("suspects", "ready"):
        key, offset = store.keys.of(kind, queue), 0
        while len(found) < count:
            size = min(PAGE, count - len(found))
            page = store.lane.call("LRANGE", key, -offset - size, -offset - 1)
            if not page:
                break
            offset += len(page)
            uids = kept.texts(reversed(page))
            (stored,) = fields.read(store, ["jobs"], uids)
            # Without a record it is one that was cancelled and still lies here.
            found.update((view.uid, view) for view in views(store, uids, stored, "ready"))
    offset = 0
    while len(found) < count:
        size = min(PAGE, count - len(found))
        page = store.lane.call(*turns.the_next(store.keys, queue, offset, size))
        if not page:
            break
        offset += len(page)
        uids = list(map(turns.uid_of, page))
        (stored,) = fields.read(store, ["jobs"], uids)
        found.update((view.uid, view) for view in views(store, uids, stored, "ready"))
    return list(found.values())


def held(store: RedisStore, engine: str) -> list[JobView]:
    """The jobs that an engine has claimed and not settled, at most 1,000."""
    found: list[JobView] = []
    running, packs = store.keys.held(engine)
    alone, together = store.lane.transaction([("HKEYS", running), ("HVALS", packs)])
    uids = sorted([*kept.texts(alone), *chain.from_iterable(map(kept.pack_uids, together))])
    for start in range(0, len(uids), PAGE):
        page = uids[start : start + PAGE]
        (stored,) = fields.read(store, ["jobs"], page)
        found += [
            attrs.evolve(view, engine=engine) for view in views(store, page, stored, "running")
        ]
    return found


def look(store: RedisStore, uid: Uid, id: str | None) -> JobView | None:
    """The same for whoever looks again and again: without a payload that lies apart. For ten
    seconds from now its engine tells each second how far it is.

    Args:
      id: The caller's, if it is known: of what has ended it may be all that is remembered.
    """
    with contextlib.suppress(StoreRefused):  # who may only read is told more seldom
        watch(store)
    view = find(store, uid, with_big=False)
    if view is None and id is not None:
        view = find(store, id, with_big=False)
    return view if view is not None and view.uid == uid else None


def _living(store: RedisStore, uid: Uid, with_big: bool) -> JobView | None:
    """A job that has a record; None: it has none, or no longer."""
    ((stored,),) = fields.read(store, ["jobs"], [uid])
    if stored is None:
        return None
    place = _place(store, uid, stored)
    if place is None:
        return None
    return attrs.evolve(views(store, [uid], [stored], "", with_big=with_big)[0], **place)


def _place(store: RedisStore, uid: Uid, stored: bytes) -> dict[str, Any] | None:
    """The state of a job that had this record, and what belongs to the state."""
    keys = store.keys
    try:
        queue = decode(uid, stored).record.queue
    except RecordUnreadable:
        queue = ""
    engines: list[bytes] = []
    for _ in range(TRIES):
        held = [keys.held(kept.text(engine)) for engine in engines]
        there, lives, died, due, parked, *claims = store.lane.transaction(
            [
                ("HKEYS", keys.fixed("engines")),
                ("HEXISTS", keys.fixed("jobs"), uid),
                ("ZSCORE", keys.fixed("dead"), uid),
                ("ZSCORE", keys.of("scheduled", queue), uid),
                ("SISMEMBER", keys.fixed("behind"), uid),
                *(("HEXISTS", running, uid) for running, _ in held),
                *(("HVALS", packs) for _, packs in held),
            ]
        )
        if not lives:
            return None
        if died is not None:
            return {"state": "dead", "died_ms": kept.time_ms(died)}
        if due is not None:
            return {"state": "scheduled", "due_ms": kept.time_ms(due)}
        alone, together = claims[: len(engines)], claims[len(engines) :]
        for engine, is_alone, packs in zip(engines, alone, together, strict=True):
            if is_alone or any(uid in kept.pack_uids(pack) for pack in packs):
                return {"state": "running", **_run(store, uid, kept.text(engine))}
        if not set(there) <= set(engines):
            engines = there
        else:
            return {"state": "parked" if parked else "ready"}
    raise StoreBusy("engines come and go faster than they can be asked")


def _run(store: RedisStore, uid: Uid, engine: str) -> dict[str, Any]:
    """Where a job runs, and who wants it to end."""
    asked = store.lane.call("HGET", store.keys.of("asks", engine), uid)
    return {"engine": engine, "asked": summary.decode(kept.ask(asked or b""))}
