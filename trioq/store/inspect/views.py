"""A job as people are shown it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from trioq.core.formats.record import decode, decode_payload
from trioq.core.job import Record, Uid
from trioq.errors import RecordUnreadable
from trioq.store.redis import RedisStore


@attrs.frozen
class JobView:
    """A job, where it is and what became of it so far."""

    uid: Uid
    record: Record | None
    """None where it can't be read, or is gone because the job has ended."""
    state: str
    reason: str | None = None
    """Why it is dead."""
    reaps: int = 0
    """How often it was the suspect of an engine that died."""
    attempts: tuple[dict[str, Any], ...] = ()
    payload: Any = None
    payload_raw: bytes | None = None
    """The bytes, where they aren't a JSON object."""
    summary: Mapping[str, Any] | None = None
    """For a job that has ended: what is remembered of it."""
    due_ms: int | None = None
    """When a scheduled job is due."""
    died_ms: int | None = None
    engine: str | None = None
    """Which engine runs it."""

    def as_json(self) -> dict[str, Any]:
        """The shape of ``job``, ``peek`` and ``dead list`` with ``--json``."""
        record, summary = self.record, self.summary or {}
        shown: dict[str, Any] = {
            "id": (record.id if record else summary.get("id")) or self.uid,
            "uid": self.uid,
            "name": record.name if record else summary.get("name"),
            "queue": record.queue if record else summary.get("queue"),
            "state": self.state,
            "payload": self.payload,
            "reason": self.reason,
            "reaps": self.reaps,
            "attempts": list(self.attempts),
            "enqueued_ms": record.enqueued_ms if record else summary.get("enqueued_ms"),
        }
        for field in ("due_ms", "died_ms", "engine"):
            if (value := getattr(self, field)) is not None:
                shown[field] = value
        if self.payload_raw is not None:
            shown["payload_raw"] = base64.b64encode(self.payload_raw).decode()
        if "at_ms" in summary:
            shown["done"] = {k: summary.get(k) for k in ("attempt", "took_ms", "at_ms", "engine")}
            if "trace" in summary:
                shown["done"]["trace"] = summary["trace"]
        return shown


def views(
    store: RedisStore, uids: Sequence[Uid], stored: Sequence[bytes | None], state: str
) -> list[JobView]:
    """Jobs with what is told of them elsewhere; those without a record are left out."""
    found = {uid: job for uid, job in zip(uids, stored, strict=True) if job is not None}
    if not found:
        return []
    told = store.lane.pipeline(
        [("HMGET", store.keys.fixed(key), *found) for key in ("history", "reasons", "reaps")]
    )
    return [
        _view(store, uid, job, state, about)
        for (uid, job), *about in zip(found.items(), *told, strict=True)
    ]


def _view(
    store: RedisStore, uid: Uid, stored: bytes, state: str, about: Sequence[bytes | None]
) -> JobView:
    lines, reason, reaps = about
    record: Record | None = None
    raw: bytes | None = stored
    try:
        read = decode(uid, stored)
    except RecordUnreadable:
        payload: Any = _text(stored)
    else:
        record = read.record
        # The big ones one at a time: each may have a megabyte.
        big = store.lane.call("HGET", store.keys.fixed("big"), uid) if read.payload_is_big else None
        payload, raw = _payload(record.payload if big is None else big)
    return JobView(
        uid,
        record,
        state,
        reason=reason.decode() if reason else None,
        reaps=int(reaps or 0),
        attempts=history(lines),
        payload=payload,
        payload_raw=raw,
    )


def _payload(raw: bytes) -> tuple[Any, bytes | None]:
    """A payload as it is shown; with its bytes if it isn't a JSON object."""
    try:
        return decode_payload(raw), None
    except RecordUnreadable:
        return _text(raw), raw


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def history(raw: bytes | None) -> tuple[dict[str, Any], ...]:
    """The attempts of a job, from the lines that are kept.

    Each is ``{"attempt", "error": {"type", "message", "traceback"}, "engine", "at_ms"}``, with
    ``"trace"``, a ``traceparent``, where its run was traced; or ``{"omitted": n}`` for those
    that were left out.
    """
    return tuple(map(_attempt, raw.split(b"\n"))) if raw else ()


def _attempt(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        told = {"message": _text(line)}
    if "omitted" in told:
        return told
    attempt = {
        "attempt": told.get("attempt"),
        "error": {field: told.get(field, "") for field in ("type", "message", "traceback")},
        "engine": told.get("engine"),
        "at_ms": told.get("at_ms"),
    }
    if "trace" in told:
        attempt["trace"] = told["trace"]
    return attempt
