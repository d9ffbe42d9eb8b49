"""The dead: which there are, a page at a time, and which of them are meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from trioq.core.fingerprint import fingerprint
from trioq.core.formats import history
from trioq.core.formats.record import decode
from trioq.core.job import Record, Uid
from trioq.errors import RecordUnreadable
from trioq.store import kept
from trioq.store.inspect import fields
from trioq.store.inspect.views import JobView, views
from trioq.store.redis import RedisStore

#: Jobs read in one round trip, each with a record of at most 8 kB.
PAGE = 100

#: Histories read in one round trip: one of many long tracebacks has 200 kB.
HISTORIES = 25


@attrs.frozen
class DeadFilter:
    """Which dead jobs are meant: those to which all of this applies."""

    uids: tuple[Uid, ...] | None = None
    """None: all there are."""
    name: str | None = None
    """Of this handler."""
    error: str | None = None
    """With this text in the reason or in the last error."""
    older_than_s: float | None = None
    """Dead for longer than this."""
    fingerprint: str | None = None
    """Whose last error has this: :mod:`trioq.core.fingerprint`."""

    @property
    def is_everything(self) -> bool:
        """Whether all dead jobs are meant."""
        return self == DeadFilter()


@attrs.frozen
class Dead:
    """A dead job, as far as bulk work needs to know it."""

    uid: Uid
    died_ms: int | None
    """None: its time can't be one."""
    stored: bytes | None = attrs.field(default=None, repr=False)
    record: Record | None = None
    """None where it can't be read."""


@attrs.frozen
class DeadPage:
    """Some of the dead, in the order of their deaths."""

    jobs: list[Dead]
    """Those that are meant."""
    looked_at: int
    """How many there were to choose from."""
    next: str = ""
    """Where whoever stops here goes on, another time; empty where they were named."""


def dead_pages(
    store: RedisStore, wanted: DeadFilter, *, after: str = "", size: int = PAGE
) -> Iterator[DeadPage]:
    """The jobs that are dead now, the longest dead first; a page may be empty.

    Whoever reads may revive or purge what it has read: nothing is skipped.

    Args:
      after: The ``next`` of a page: those that come after it, and were dead when that was begun.
      size: How many to choose from in one page, from 1 to 100.

    Raises:
      ValueError: No page has such a ``next``.
    """
    whence = _Whence.read(after) if after else _Whence(0.0)
    pages: Iterator[tuple[Mapping[Uid, int | None], str]]
    pages = _all(store, wanted, whence, size) if wanted.uids is None else _named(store, wanted)
    for page, following in pages:
        (stored,) = fields.read(store, ["jobs"], [*page]) if page else ([],)
        jobs = [
            Dead(uid, died_ms, job, _record(uid, job))
            for (uid, died_ms), job in zip(page.items(), stored, strict=True)
        ]
        if wanted.name is not None:
            jobs = [job for job in jobs if job.record and job.record.name == wanted.name]
        if wanted.error is not None or wanted.fingerprint is not None:
            jobs = list(_of_errors(store, jobs, wanted))
        yield DeadPage(jobs, len(page), following)


def dead(
    store: RedisStore,
    *,
    name: str | None = None,
    error: str | None = None,
    older_than_s: float | None = None,
    limit: int | None = None,
) -> Iterator[JobView]:
    """The dead with all that is known of them; see :class:`DeadFilter`."""
    left = float("inf") if limit is None else limit
    for page in dead_pages(store, DeadFilter(None, name, error, older_than_s)):
        for view in dead_views(store, page.jobs):
            if left <= 0:
                return
            left -= 1
            yield view


def dead_views(store: RedisStore, jobs: Sequence[Dead]) -> Iterator[JobView]:
    """All that is known of these; those without a record are left out."""
    for start in range(0, len(jobs), HISTORIES):
        some = jobs[start : start + HISTORIES]
        died = {job.uid: job.died_ms for job in some}
        for view in views(store, [*died], [job.stored for job in some], "dead"):
            yield attrs.evolve(view, died_ms=died[view.uid])


def newest_dead(store: RedisStore, count: int) -> dict[Uid, int]:
    """Those that died last, the newest first, and when, in epoch milliseconds."""
    key = store.keys.fixed("dead")
    flat = store.lane.call("ZRANGE", key, 0, count - 1, "REV", "WITHSCORES")
    return {
        kept.text(u): kept.time_ms(ms) or 0 for u, ms in zip(flat[::2], flat[1::2], strict=True)
    }


def _record(uid: Uid, stored: bytes | None) -> Record | None:
    try:
        return decode(uid, stored).record if stored is not None else None
    except RecordUnreadable:
        return None


def name_of(uid: Uid, stored: bytes | None) -> str | None:
    """The handler of a job with this record; None where that can't be read."""
    record = _record(uid, stored)
    return record.name if record else None


def _of_errors(store: RedisStore, jobs: Sequence[Dead], wanted: DeadFilter) -> Iterator[Dead]:
    """Those whose reason or last error is meant."""
    for start in range(0, len(jobs), HISTORIES):
        some = jobs[start : start + HISTORIES]
        uids = [job.uid for job in some]
        reasons, histories = fields.read(store, ["reasons", "history"], uids)
        for job, reason, lines in zip(some, reasons, histories, strict=True):
            last = history.last_error(history.decode(lines))
            why = kept.text(reason) if reason else ""
            told = " ".join([*([why] if why else []), *([last.type, last.message] if last else [])])
            is_it = wanted.fingerprint in (None, fingerprint(last, why))
            if is_it and (wanted.error is None or wanted.error in told):
                yield job


# -- uids and when they died -------------------------------------------------------------------


@attrs.frozen
class _Whence:
    """Where to begin among the dead."""

    until: float
    """The latest death that counts; 0: it isn't settled yet."""
    died: float = float("-inf")
    uid: bytes = b""

    @classmethod
    def read(cls, text: str) -> _Whence:
        try:
            until, died, uid = text.split(":")
            return cls(float(until), float(died), bytes.fromhex(uid))
        except ValueError:
            raise ValueError(f"{text[:40]!r} is where no page ends") from None

    def __str__(self) -> str:
        return f"{self.until:.0f}:{self.died:.0f}:{self.uid.hex()}"


def _named(store: RedisStore, wanted: DeadFilter) -> Iterator[tuple[Mapping[Uid, int | None], str]]:
    """Those of the named uids that are dead."""
    uids = list(dict.fromkeys(wanted.uids or ()))
    until = _until(store, wanted.older_than_s)
    for start in range(0, len(uids), PAGE):
        some = uids[start : start + PAGE]
        scores = store.lane.call("ZMSCORE", store.keys.fixed("dead"), *some)
        died = {uid: float(score) for uid, score in zip(some, scores, strict=True) if score}
        yield {uid: kept.time_ms(score) for uid, score in died.items() if score <= until}, ""


def _all(
    store: RedisStore, wanted: DeadFilter, whence: _Whence, size: int
) -> Iterator[tuple[Mapping[Uid, int | None], str]]:
    """All, by the place of the last one read and not by their number, and where to go on.

    Many die in the same millisecond, so a page may begin inside of one. It then overlaps
    the last by one uid: if that isn't there any more, what follows has moved up, and the
    page is looked for from the beginning of its millisecond.
    """
    key = store.keys.fixed("dead")
    newest = store.lane.call("ZRANGE", key, 0, 0, "REV", "WITHSCORES")
    if not newest:
        return
    # Who dies again while this is read isn't shown again.
    until = whence.until or min(float(newest[1]), _until(store, wanted.older_than_s))
    last: tuple[float, bytes] = (whence.died, whence.uid)
    offset = 0
    while True:
        count = size + (1 if last[1] else 0)  # what was read last is read again
        flat = store.lane.call(
            "ZRANGE", key, last[0], until, "BYSCORE", "LIMIT", offset, count, "WITHSCORES"
        )
        there = [(float(score), uid) for uid, score in zip(flat[::2], flat[1::2], strict=True)]
        if offset and (not there or there[0] > last):
            offset = 0
            continue
        is_last = len(there) < count
        if sum(each > last for each in there) > size:  # what was read last is gone
            there.pop()
        if page := {
            kept.text(uid): kept.time_ms(score) for score, uid in there if (score, uid) > last
        }:
            yield page, str(_Whence(until, *there[-1]))
        if is_last:
            return
        sharing = sum(score == there[-1][0] for score, _ in there)
        offset = sharing - 1 + (offset if there[-1][0] == last[0] else 0)
        last = max(last, there[-1])


def _until(store: RedisStore, older_than_s: float | None) -> float:
    """The latest death that counts, in epoch milliseconds."""
    if older_than_s is None:
        return float("inf")
    return float(store.now_ms() - older_than_s * 1000)
