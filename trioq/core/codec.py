"""Jobs to bytes and back.

A record is two lines: a JSON header that trioq reads, and the payload exactly as it
was enqueued. So the payload survives untouched even where the header says something
that this version doesn't understand. The server never looks into either.
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from trioq.core.job import NO_HEADERS, Headers, Options, Record
from trioq.errors import PayloadRejected, RecordUnreadable

VERSION = 1

BIG_BYTES = 8192
"""Payloads above this travel when the job starts, not with the claim."""

TRACE = ("traceparent", "tracestate", "baggage")
"""The headers that a record carries, if its enqueue was traced."""

_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@attrs.frozen
class Stored:
    """A record as it lies in ``jobs``: its payload may lie in ``big``."""

    record: Record
    payload_is_big: bool


def encode_payload(payload: Any, max_bytes: int) -> bytes:
    """The payload as bytes.

    Raises:
      PayloadRejected: It isn't a JSON object, or is larger than ``max_bytes``.
    """
    if not isinstance(payload, dict) or not all(isinstance(key, str) for key in payload):
        raise PayloadRejected(f"a payload is a JSON object, not {type(payload).__name__}")
    try:
        encoded = _dumps(payload).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadRejected(f"not representable as JSON: {error}") from None
    if len(encoded) > max_bytes:
        raise PayloadRejected(f"payload has {len(encoded)} bytes, the limit is {max_bytes}")
    return encoded


def encode(record: Record) -> tuple[bytes, bytes]:
    """What goes into ``jobs`` and what goes into ``big`` (empty for small payloads)."""
    header: dict[str, Any] = {
        "v": VERSION,
        "name": record.name,
        "queue": record.queue,
        "at": record.enqueued_ms,
    }
    if record.id is not None:
        header["id"] = record.id
    if record.options.max_attempts is not None:
        header["max_attempts"] = record.options.max_attempts
    if record.options.timeout_s is not None:
        header["timeout_s"] = record.options.timeout_s
    if record.trace:
        header["trace"] = dict(record.trace)
    is_big = len(record.payload) > BIG_BYTES
    if is_big:
        header["big"] = True
    line = _dumps(header).encode("ascii") + b"\n"
    return (line, record.payload) if is_big else (line + record.payload, b"")


def decode(uid: str, stored: bytes) -> Stored:
    """Read a record's header.

    Raises:
      RecordUnreadable: With what is wrong; the bytes stay where they are.
    """
    line, _, payload = stored.partition(b"\n")
    try:
        header = json.loads(line)
        if header["v"] != VERSION:
            raise RecordUnreadable(f"record has version {header['v']}, this trioq reads {VERSION}")
        record = Record(
            uid=uid,
            name=_text(header, "name"),
            queue=_text(header, "queue"),
            payload=payload,
            id=header.get("id"),
            enqueued_ms=header.get("at", 0),
            options=Options(header.get("max_attempts"), header.get("timeout_s")),
            trace=_headers(header["trace"]) if "trace" in header else NO_HEADERS,
        )
    except RecordUnreadable:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordUnreadable(f"the record's header doesn't decode: {error!r}") from None
    return Stored(record, bool(header.get("big")))


def decode_payload(payload: bytes) -> dict[str, Any]:
    """The payload as a dict.

    Raises:
      RecordUnreadable: It isn't a JSON object.
    """
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise RecordUnreadable(f"the payload doesn't decode: {error}") from None
    if not isinstance(value, dict):
        raise RecordUnreadable(f"the payload is a {type(value).__name__}, not an object")
    return value


def _headers(raw: Any) -> Headers:
    """What can be read of a trace: no job fails because of one."""
    if not isinstance(raw, dict):
        return NO_HEADERS
    return {name: raw[name] for name in TRACE if isinstance(raw.get(name), str)}


def _text(header: dict[str, Any], field: str) -> str:
    value = header[field]
    if not isinstance(value, str):
        raise RecordUnreadable(f"the record's {field} is {value!r}")
    return value
