"""Jobs to bytes and back.

A record is two lines: a JSON header that trioq reads, and the payload exactly as it
was enqueued. So the payload survives untouched even where the header says something
that this version doesn't understand. The server never looks into either.

What is written for every job is put together by hand, and read without the detours of
``json.loads``; what is the same in many headers is read once. Half of the time that a small
job costs would go into JSON.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from trioq.core import valid
from trioq.core.formats.payload import loads
from trioq.core.job import NO_HEADERS, NO_OPTIONS, Headers, Options, Record
from trioq.core.values import value
from trioq.errors import RecordUnreadable

VERSION = 1

BIG_BYTES = 8192
"""Payloads above this lie apart, and don't travel with the claim."""

_BIG, _END = b',"big":', b"}\n"
"""What stands around the size of a payload that lies apart."""

TRACE = ("traceparent", "tracestate", "baggage")
"""The headers that a record carries, if its enqueue was traced."""

#: A record's header travels with each claim; a baggage above this is left behind.
BAGGAGE_BYTES = 8192

_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_quoted = json.encoder.encode_basestring_ascii

#: What a header calls each option, and what that may be.
_OPTIONS = {
    "max_attempts": valid.ATTEMPTS,
    "timeout_s": valid.TIMEOUT_S,
    "result_s": valid.KEEP_S,
    "deadline": valid.TIME_MS,
    "expires": valid.TIME_MS,
}
_NOTHING = [None] * len(_OPTIONS)

#: What a header says after its names, or nowhere.
_LATER = frozenset({"at", "id", *_OPTIONS, "trace", "due", "big"})


@value
class Stored:
    """A record as it lies in ``jobs``: its payload may lie in ``big``."""

    record: Record
    payload_is_big: bool


def encode(record: Record) -> tuple[bytes, bytes]:
    """What goes into ``jobs`` and what goes into ``big`` (empty for small payloads)."""
    header = f"{_start(record.name, record.queue)}{record.enqueued_ms:d}"
    if record.id is not None:
        header += _called(record.id)
    if record.options is not NO_OPTIONS:
        header += _asked(record.options)
    if record.trace:
        header += _traced(record.trace)
    if record.due_ms:
        header += f',"due":{record.due_ms:d}'
    return with_payload(header.encode("ascii"), record.payload)


def plain_header(
    name: str,
    queue: str,
    enqueued_ms: int,
    trace: Headers = NO_HEADERS,
    options: Options = NO_OPTIONS,
) -> bytes:
    """What jobs have in common that have nothing but these and a payload: see `with_payload`."""
    header = f"{_start(name, queue)}{enqueued_ms:d}"
    if options is not NO_OPTIONS:
        header += _asked(options)
    return (header + _traced(trace) if trace else header).encode("ascii")


def with_payload(header: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """:func:`encode`, with a header that lacks its end."""
    if len(payload) > BIG_BYTES:
        # Last, where `split_big` looks for it; what is true says as much, to older versions too.
        return header + b"%s%d%s" % (_BIG, len(payload), _END), payload
    return header + _END + payload, b""


def with_id(header: bytes, id: str) -> bytes:
    """A header that lacks its end, of a job that has a caller's id."""
    return header + _called(id).encode("ascii")


def _called(id: str) -> str:
    return f',"id":{_quoted(id)}'


def _asked(options: Options) -> str:
    said = ""
    if options.max_attempts is not None:
        said += f',"max_attempts":{_dumps(options.max_attempts)}'
    if options.timeout_s is not None:
        said += f',"timeout_s":{_dumps(options.timeout_s)}'
    if options.result_s is not None:
        said += f',"result_s":{_dumps(options.result_s)}'
    if options.deadline_ms is not None:
        said += f',"deadline":{options.deadline_ms:d}'
    if options.expires_ms is not None:
        said += f',"expires":{options.expires_ms:d}'
    return said


def _traced(trace: Headers) -> str:
    return f',"trace":{_dumps(dict(trace))}'


@lru_cache(maxsize=256)
def _start(name: str, queue: str) -> str:
    """What the headers of many jobs begin with."""
    return f'{{"v":{VERSION},"name":{_quoted(name)},"queue":{_quoted(queue)},"at":'


def decode(uid: str, stored: bytes) -> Stored:
    """Read a record's header.

    Raises:
      RecordUnreadable: With what is wrong; the bytes stay where they are.
    """
    line, _, payload = stored.partition(b"\n")
    name, queue, id, enqueued_ms, options, trace, due_ms, is_big = _header(line)
    if trace:
        trace = dict(trace)  # a handler is given it
    record = Record(uid, name, queue, payload, id, enqueued_ms, options, trace, due_ms)
    return Stored(record, is_big)


def queue_of(stored: bytes) -> str | None:
    """The queue that a record names; None of one that can't be read."""
    try:
        return _header(stored.partition(b"\n")[0])[1]
    except RecordUnreadable:
        return None


_Header = tuple[str, str, str | None, int, Options, Headers, int, bool]
"""Name, queue, id, when it was enqueued, options, trace, when it is due, whether ``big``."""


# Those that were enqueued together and have no id say the same, all of it.
@lru_cache(maxsize=64)
def _header(line: bytes) -> _Header:
    # In most of them the time comes last, and all before it is the same for many jobs. No string
    # in JSON holds quotes like these; where another field does, what is before is no header.
    start, _, rest = line.partition(b',"at":')
    try:
        names = _plain(start + b"}")
        if names is not None and rest[-1:] == b"}" and rest[:-1].isdigit() and len(rest) < 16:
            return *names, None, int(rest[:-1]), NO_OPTIONS, NO_HEADERS, 0, False
        header = None if names is None else _later(rest)
        if names is None or header is None:
            header = _checked(line)
            names = _names(header["name"], header["queue"])
        return (
            *names,
            None if header.get("id") is None else _valid(header, "id", valid.ID),
            _valid(header, "at", valid.TIME_MS) if "at" in header else 0,
            _options(header),
            _headers(header["trace"]) if "trace" in header else NO_HEADERS,
            _valid(header, "due", valid.TIME_MS) if "due" in header else 0,
            bool(header.get("big")),
        )
    except RecordUnreadable:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RecordUnreadable(f"the record's header doesn't decode: {error!r}") from None


def _later(rest: bytes) -> dict[str, Any] | None:
    """What a header says from its time on; None if that may be what is said before, too."""
    try:
        said: dict[str, Any] = loads(b'{"at":' + rest)
    except ValueError:
        return None
    return said if said.keys() <= _LATER else None


def split_big(stored: bytes) -> tuple[bytes, int]:
    """Of a record whose payload lies apart: as it would be without, and how many bytes that has.

    0 bytes: its payload doesn't lie apart, or it doesn't tell how large it is. Older versions
    didn't write it down, and other writers may write anything.
    """
    start, mark, size = stored.rpartition(_BIG)
    said = size.removesuffix(_END)
    # After another line end it would be the end of a payload.
    if not mark or b"\n" in start or not said.isdigit() or len(said) > 9:
        return stored, 0
    return start + _END, int(said)


def _headers(raw: Any) -> Headers:
    """What can be read of a trace: no job fails because of one."""
    if not isinstance(raw, dict):
        return NO_HEADERS
    return {name: raw[name] for name in TRACE if _is_header(raw.get(name))}


def _is_header(value: Any) -> bool:
    """Whether it may go into a header or a variable of a program."""
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _checked(line: bytes) -> dict[str, Any]:
    """A header of this version."""
    header: dict[str, Any] = loads(line)
    if header["v"] != VERSION:
        raise RecordUnreadable(
            f"record has version {valid.shown(header['v'])}, this trioq reads {VERSION}"
        )
    return header


@lru_cache(maxsize=256)
def _plain(line: bytes) -> tuple[str, str] | None:
    """Name and queue of a header that says nothing else; None of another, and of what is none."""
    try:
        header = _checked(line)
        return _names(header["name"], header["queue"]) if len(header) == 3 else None
    except (ValueError, KeyError, TypeError, RecursionError, RecordUnreadable):
        return None


@lru_cache(maxsize=256)
def _names(name: Any, queue: Any) -> tuple[str, str]:
    """Name and queue, looked at once for many jobs."""
    names = {"name": name, "queue": queue}
    return _valid(names, "name", valid.NAME), _valid(names, "queue", valid.QUEUE)


def _options(header: dict[str, Any]) -> Options:
    """What the call asked for itself; whoever wrote the record, nothing here hurts an engine."""
    asked = [header.get(option) for option in _OPTIONS]
    if asked == _NOTHING:
        return NO_OPTIONS
    for option, rule in _OPTIONS.items():
        if header.get(option) is not None:
            _valid(header, option, rule)
    return Options(*asked)


def _valid(header: dict[str, Any], field: str, rule: valid.Rule) -> Any:
    """What a header says of a field, if that can be."""
    value = header[field]
    if not rule.allows(value):
        told = f"the record's {field} is {valid.shown(value)}: expected {rule.words}"
        raise RecordUnreadable(told)
    return value
