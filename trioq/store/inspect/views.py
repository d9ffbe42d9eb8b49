"""A job as people are shown it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

from trioq.core.formats import history, note, payload
from trioq.core.formats.note import Noted
from trioq.core.formats.record import decode
from trioq.core.formats.summary import Summary
from trioq.core.job import Record, Uid
from trioq.errors import RecordUnreadable
from trioq.store import kept
from trioq.store.inspect import fields
from trioq.store.redis import RedisStore


@attrs.frozen
class JobView:
    """A job, where it is and what became of it so far."""

    uid: Uid
    record: Record | None
    """None where it can't be read, or is gone because the job has ended."""
    state: str
    reason: str | None = None
    """Why it is dead, or was cancelled, where anybody has said so."""
    reaps: int = 0
    """How often it was the suspect of an engine that died."""
    attempts: tuple[history.Line, ...] = ()
    payload: Any = None
    payload_raw: bytes | None = None
    """The bytes, where they aren't a JSON object."""
    summary: Summary | None = None
    """For a job that is done or was cancelled, while it is among the last ones that are."""
    id: str | None = None
    """The caller's id, where nothing else is remembered."""
    due_ms: int | None = None
    """When a scheduled job is due."""
    died_ms: int | None = None
    engine: str | None = None
    """Which engine runs it."""
    asked: Summary | None = None
    """Who has asked it to end that runs, when and why."""
    has_result: bool = False
    """Whether how it ended is kept for who asks for its result, and its summary isn't."""
    noted: Noted | None = None
    """What its handler has said last of how far it is."""

    @property
    def about(self) -> Record | Summary | None:
        """What says what kind of job it is."""
        return self.record or self.summary

    @property
    def story(self) -> tuple[history.Line, ...]:
        """Its attempts, and since when it is dead where the line of a death without a run has no
        time."""
        last = self.attempts[-1] if self.attempts else None
        if not isinstance(last, history.Attempt) or last.dead is None or last.at_ms is not None:
            return self.attempts
        return (*self.attempts[:-1], attrs.evolve(last, at_ms=self.died_ms))

    @property
    def callers_id(self) -> str | None:
        """The caller's own id, if it has one."""
        return self.about.id if self.about else self.id

    def as_json(self) -> dict[str, Any]:
        """The shape of ``job``, ``peek`` and ``dead list`` with ``--json``."""
        about = self.about
        shown: dict[str, Any] = {
            "id": self.callers_id or self.uid,
            "uid": self.uid,
            "name": about.name if about else None,
            "queue": about.queue if about else None,
            "state": self.state,
            "payload": self.payload,
            "reason": self.reason,
            "reaps": self.reaps,
            "attempts": [line.as_json() for line in self.story],
            "enqueued_ms": about.enqueued_ms if about else None,
        }
        for field in ("due_ms", "died_ms", "engine"):
            if (value := getattr(self, field)) is not None:
                shown[field] = value
        if (asked := self.asked) is not None:
            shown["asked"] = {"at_ms": asked.at_ms, "reason": asked.reason, "by": asked.by}
        if self.has_result:
            shown["has_result"] = True
        if self.noted is not None:
            shown["noted"] = self.noted.as_json()
        if self.payload_raw is not None:
            shown["payload_raw"] = base64.b64encode(self.payload_raw).decode()
        if self.summary is not None:
            shown["done"] = self.summary.as_json()
        return shown


def of_summary(told: Summary) -> JobView:
    """A job of which that is all that is kept."""
    return JobView(told.uid, None, told.state, reason=told.reason or None, summary=told)


def views(
    store: RedisStore,
    uids: Sequence[Uid],
    stored: Sequence[bytes | None],
    state: str,
    *,
    with_big: bool = True,
) -> list[JobView]:
    """Jobs with what is told of them elsewhere; those without a record are left out.

    Args:
      with_big: Also with payloads that lie apart, each of which is a question of its own.
    """
    found = {uid: job for uid, job in zip(uids, stored, strict=True) if job is not None}
    if not found:
        return []
    told = fields.read(store, ["history", "reasons", "reaps", "notes"], [*found])
    return [
        view_of(uid, job, state, about, partial(_big, store, uid) if with_big else None)
        for (uid, job), *about in zip(found.items(), *told, strict=True)
    ]


def view_of(
    uid: Uid,
    stored: bytes,
    state: str,
    about: Sequence[bytes | None],
    big: Callable[[], bytes] | None,
) -> JobView:
    """A job that has this record.

    Args:
      about: Its history, why it is dead, of how many engines it was the suspect, and what its
        handler has said last.
      big: Fetches a payload that lies apart; None: nobody wants it.
    """
    lines, reason, reaps, noted = about
    record: Record | None = None
    raw: bytes | None = stored
    try:
        read = decode(uid, stored)
    except RecordUnreadable:
        content: Any = _text(stored)
    else:
        record = read.record
        # The big ones one at a time: each may have a megabyte.
        if read.payload_is_big:
            content, raw = (None, None) if big is None else _payload(big())
        else:
            content, raw = _payload(record.payload)
    return JobView(
        uid,
        record,
        state,
        reason=kept.text(reason) if reason else None,
        reaps=kept.number(reaps),
        attempts=history.decode(lines),
        payload=content,
        payload_raw=raw,
        noted=note.decode(noted),
    )


def _big(store: RedisStore, uid: Uid) -> bytes:
    """A payload that lies apart; where it can't be read, why."""
    try:
        return store.payload(uid) or b""
    except RecordUnreadable as error:
        return str(error).encode()


def _payload(raw: bytes) -> tuple[Any, bytes | None]:
    """A payload as it is shown; with its bytes if it isn't a JSON object."""
    try:
        return payload.decode(raw), None
    except RecordUnreadable:
        return _text(raw), raw


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
