"""Payloads: JSON objects, kept as they were enqueued."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from trioq.core.valid import DEEPEST, is_too_deep, shown
from trioq.errors import PayloadRejected, RecordUnreadable

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_dumps = _encoder.encode
_FLAT = frozenset({str, int, float, bool, type(None)})
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _pieces_maker() -> Callable[[Any, int], Sequence[str]]:
    """What ``json.JSONEncoder`` makes anew for each value, made once; it notes no circles, which
    end as too deep a nesting."""
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
    if make is None:  # another Python
        return lambda value, level: (_dumps(value),)
    quoted = json.encoder.encode_basestring_ascii
    pieces: Callable[[Any, int], Sequence[str]] = make(
        None, _encoder.default, quoted, None, ":", ",", False, False, False
    )
    return pieces


_pieces = _pieces_maker()


def encode(payload: Any, max_bytes: int) -> bytes:
    """The payload as bytes.

    Raises:
      PayloadRejected: It isn't a JSON object, is nested too deeply, or larger than
          ``max_bytes``.
    """
    if not isinstance(payload, dict):
        raise PayloadRejected(f"a payload is a JSON object, not {type(payload).__name__}")
    for key in payload:
        if not isinstance(key, str):
            raise PayloadRejected(f"a JSON object's fields have names, not {key!r}")
    # Most have nothing in them that could be deep.
    is_flat = _FLAT.issuperset(map(type, payload.values()))
    encoded = encode_value(payload, is_flat=is_flat)
    if len(encoded) > max_bytes:
        raise PayloadRejected(f"payload has {len(encoded)} bytes, the limit is {max_bytes}")
    return encoded


def encode_value(payload: Any, called: str = "payload", *, is_flat: bool = False) -> bytes:
    """Any JSON value as bytes.

    Args:
      called: What it is, for errors.
      is_flat: Whether it surely isn't nested deeply.

    Raises:
      PayloadRejected: It isn't one, or is nested too deeply.
    """
    try:
        encoded = "".join(_pieces(payload, 0)).encode("ascii")
    except RecursionError:
        if where := _circle(payload, called):
            raise PayloadRejected(f"not representable as JSON: {where}") from None
        raise PayloadRejected(f"nested deeper than {DEEPEST} levels") from None
    except (TypeError, ValueError) as error:
        where = _where(payload, called)
        if str(error).startswith("Out of range float"):
            raise PayloadRejected(f"{where} is NaN or infinite, which JSON doesn't have") from None
        raise PayloadRejected(f"not representable as JSON: {where}: {error}") from None
    # Of the others most haven't enough in them that could be.
    could_be = not is_flat and encoded.count(b"{") + encoded.count(b"[") > DEEPEST
    if could_be and is_too_deep(payload):
        raise PayloadRejected(f"nested deeper than {DEEPEST} levels")
    return encoded


def _circle(payload: Any, called: str) -> str:
    """Where a payload contains itself; empty: it doesn't."""
    try:
        _dumps(payload)
    except ValueError as error:
        return f"{_where(payload, called)}: {error}"
    except RecursionError:
        pass
    return ""


def _where(payload: Any, called: str) -> str:
    """What of a payload JSON can't have, for people: ``payload.lines[3].at``."""
    path, inner, seen = called, payload, {id(payload)}
    while found := next((step for step in _steps(inner) if not _is_json(step[1])), None):
        step, inner = found
        path += step
        if id(inner) in seen:
            break  # a circle
        seen.add(id(inner))
    return path


def _steps(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f".{key}" if str(key).isidentifier() else f"[{shown(key)}]", inner
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield f"[{i}]", inner


def _is_json(value: Any) -> bool:
    try:
        _dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def decode(stored: bytes, start: int = 0) -> dict[str, Any]:
    """The payload as a dict.

    Args:
      start: Where it begins in these bytes.

    Raises:
      RecordUnreadable: It isn't a JSON object.
    """
    try:
        value, end = _scan(stored.decode("ascii"), start)
        if end == len(stored) and type(value) is dict:
            return value
    except (ValueError, StopIteration, RecursionError):
        pass
    return _decode_slowly(stored[start:])


def _decode_slowly(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise RecordUnreadable(f"the payload doesn't decode: {error}") from None
    if not isinstance(value, dict):
        raise RecordUnreadable(f"the payload is a {type(value).__name__}, not an object")
    return value


def loads(encoded: bytes) -> Any:
    """What ``json.loads`` gives; sooner for what we write: ASCII, no white space around it."""
    try:
        value, end = _scan(encoded.decode("ascii"), 0)
        if end == len(encoded):
            return value
    except (ValueError, StopIteration):
        pass  # not ASCII, white space before it, or not JSON: which, the slow way says
    return json.loads(encoded)
