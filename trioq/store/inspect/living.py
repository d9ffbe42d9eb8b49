"""Jobs that live, a page at a time, wherever they are: waiting, due later, parked or running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from trioq.core.calls import CANCEL_MAX
from trioq.core.formats.record import decode
from trioq.core.formats.summary import Summary
from trioq.core.job import Record, Uid
from trioq.errors import RecordUnreadable, StoreUnreachable
from trioq.store import kept
from trioq.store.inspect import fields
from trioq.store.inspect.remembered import remembered
from trioq.store.inspect.views import JobView
from trioq.store.reader import is_too_long
from trioq.store.redis import RedisStore
from trioq.store.replies import PAGE

#: Records that one look at all of them reads, more or less.
LOOKED_AT = 500


@attrs.frozen
class JobFilter:
    """Which jobs are meant, of those that live: those to which all of this applies."""

    ids: tuple[str, ...] | None = None
    """Callers' ids or uids; None: all there are."""
    name: str | None = None
    """Of this handler."""
    queue: str | None = None
    """Enqueued in this queue."""

    def allows(self, record: Record | Summary | None) -> bool:
        """Whether name and queue apply. Of what can't be read nobody knows either."""
        if record is None:
            return self.name is None and self.queue is None
        return self.name in (None, record.name) and self.queue in (None, record.queue)


@attrs.frozen
class Living:
    """A job that has neither ended nor died."""

    id: str
    """Its caller's id or its uid, as it was asked for; else the caller's id if it has one."""
    uid: Uid
    record: Record | None
    """None where it can't be read."""


@attrs.frozen
class LivingPage:
    """Some of the jobs."""

    jobs: list[Living]
    """Those that are meant, at most as many as one write can cancel."""
    looked_at: int
    """How many there were to choose from."""
    others: Mapping[str, JobView | None] = attrs.field(factory=dict[str, JobView | None])
    """Those that were asked for by id and are dead or have ended; None: nobody knows them."""
    next: str = ""
    """Where whoever stops here goes on, another time; empty: nowhere, or not just here."""


def living_pages(store: RedisStore, wanted: JobFilter, *, after: str = "") -> Iterator[LivingPage]:
    """The jobs that live, a page at a time, which may be empty.

    All are there that lived when it began and still do when they are looked at; where many come
    or end meanwhile, some may be there twice. Whoever reads may end what it has read: nothing is
    skipped.

    Args:
      after: The ``next`` of a page.

    Raises:
      ValueError: No page has such a ``next``.
    """
    if wanted.ids is not None:
        yield from _named(store, wanted)
        return
    if after and not (after.isdecimal() and int(after) < 1 << 64):
        raise ValueError(f"{after[:40]!r} is where no page ends")
    cursor = (after or "0").encode()
    while True:
        cursor, read = _some(store, cursor)
        records = {uid: _record(uid, job) for uid, job in read.items()}
        meant = [uid for uid, record in records.items() if wanted.allows(record)]
        dead = _dead(store, meant)
        jobs = [
            Living((record.id if record else None) or uid, uid, record)
            for uid in meant
            if uid not in dead
            for record in [records[uid]]
        ]
        yield from _pages(jobs, len(read), "" if cursor == b"0" else cursor.decode())
        if cursor == b"0":
            return


def running(store: RedisStore, uids: Sequence[Uid]) -> set[Uid]:
    """Those of these that some engine holds."""
    engines = store.lane.call("HKEYS", store.keys.fixed("engines"))
    found: set[Uid] = set()
    for engine in engines if uids else ():
        running, packs = store.keys.held(kept.text(engine))
        alone, together = store.lane.pipeline([("HMGET", running, *uids), ("HVALS", packs)])
        found |= {uid for uid, claim in zip(uids, alone, strict=True) if claim is not None}
        for pack in together:
            found.update(kept.pack_uids(pack))
    return found.intersection(uids)


def _some(store: RedisStore, cursor: bytes) -> tuple[bytes, dict[Uid, bytes]]:
    """Some of all records, and where the next ones are."""
    scan = ("HSCAN", store.keys.fixed("jobs"), cursor, "COUNT", LOOKED_AT)
    try:
        cursor, flat = store.lane.call(*scan)
        return cursor, {kept.text(uid): job for uid, job in zip(flat[::2], flat[1::2], strict=True)}
    except StoreUnreachable as error:
        if not is_too_long(error):
            raise
    # Somebody else wrote something there that is larger than all of ours. Not every server can
    # leave the values out; then that is in the way until somebody removes it.
    cursor, uids = store.lane.call(*scan, "NOVALUES", shape=PAGE)
    return cursor, _stored(store, kept.texts(uids))


def _pages(jobs: Sequence[Living], looked_at: int, following: str) -> Iterator[LivingPage]:
    for start in range(0, max(1, len(jobs)), CANCEL_MAX):
        some, is_last = jobs[start : start + CANCEL_MAX], start + CANCEL_MAX >= len(jobs)
        yield LivingPage([*some], looked_at if not start else 0, next=following if is_last else "")


def _named(store: RedisStore, wanted: JobFilter) -> Iterator[LivingPage]:
    ids = list(dict.fromkeys(wanted.ids or ()))
    for start in range(0, len(ids), CANCEL_MAX):
        page = ids[start : start + CANCEL_MAX]
        known = _known(store, page)
        # "state:uid" is what is remembered of a job that has ended.
        uids = {
            id: kept.text(uid) if uid else id
            for id, uid in known.items()
            if uid is None or b":" not in uid
        }
        stored = _stored(store, [*uids.values()])
        dead = _dead(store, [*stored])
        jobs, others = [], dict[str, JobView | None]()
        for id, uid in uids.items():
            if uid in dead:
                others[id] = JobView(uid, None, "dead")
            elif uid in stored and wanted.allows(record := _record(uid, stored[uid])):
                jobs.append(Living(id, uid, record))
        if gone := [id for id in page if uids.get(id) not in stored]:
            # Read again: some may have ended since.
            others |= dict.fromkeys(gone) | remembered(store, _known(store, gone))
        yield LivingPage(jobs, len(page), others)


def _known(store: RedisStore, ids: Sequence[str]) -> dict[str, bytes | None]:
    """Caller's id or uid → what ``ids`` has of it."""
    return dict(zip(ids, store.lane.call("HMGET", store.keys.fixed("ids"), *ids), strict=True))


def _stored(store: RedisStore, uids: Sequence[Uid]) -> dict[Uid, bytes]:
    if not uids:
        return {}
    (found,) = fields.read(store, ["jobs"], uids)
    return {uid: job for uid, job in zip(uids, found, strict=True) if job is not None}


def _dead(store: RedisStore, uids: Sequence[Uid]) -> set[Uid]:
    if not uids:
        return set()
    died = store.lane.call("ZMSCORE", store.keys.fixed("dead"), *uids)
    return {uid for uid, score in zip(uids, died, strict=True) if score is not None}


def _record(uid: Uid, stored: bytes) -> Record | None:
    try:
        return decode(uid, stored).record
    except RecordUnreadable:
        return None
