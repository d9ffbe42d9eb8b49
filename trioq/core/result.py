"""What a handler returned, as JSON, and back for whoever waits for it.

A result travels as its own class writes it (attrs classes, dataclasses, enums, dates and so on
become JSON as in a payload) and is made into the declared return type again by who reads it.
Nothing is pickled: a result never runs code of whoever wrote it.
"""

from __future__ import annotations

import collections.abc
import inspect
import json
from collections.abc import Callable, Iterable
from contextvars import copy_context
from types import NoneType, SimpleNamespace
from typing import Any, Never, NoReturn, get_args, get_origin, get_type_hints

from trioq.core.formats import payload
from trioq.errors import PayloadRejected, ResultTooLarge, ResultUnfit

#: Of a result that doesn't fit its type, so many faults are told.
SHOWN_FAULTS = 10

#: By identity: a class's own hash may raise.
_STR = frozenset({id(str)})
_quoted = json.encoder.encode_basestring_ascii
_PLAIN = frozenset(map(id, (str, int, float, bool, NoneType)))


def encode(value: Any, max_bytes: int) -> bytes:
    """A result as bytes.

    Args:
      max_bytes: How large it may be.

    Raises:
      ResultTooLarge: It is larger.
      ResultUnfit: JSON can't hold it, or it is nested too deeply.
    """
    encoded = _encoded(value)
    if len(encoded) > max_bytes:
        raise ResultTooLarge(len(encoded), max_bytes)
    return encoded


def _encoded(value: Any) -> bytes:
    if value is None:
        return b"null"
    if type(value) is str:
        return _quoted(value).encode("ascii")
    try:
        if _is_plain(value):
            return payload.encode_value(value, "result")
        # What its classes do to context variables isn't there for the next job.
        return copy_context().run(_written, value)
    except PayloadRejected as error:
        raise ResultUnfit(str(error)) from None
    except RecursionError:
        raise ResultUnfit("it contains itself, or is nested too deeply") from None
    except Exception as error:  # of a class's own way to write itself
        raise ResultUnfit(f"{type(value).__name__}: {error}") from None


def _is_plain(value: Any) -> bool:
    """Whether it is JSON as it stands. Runs nobody's code."""
    kind = type(value)
    if kind is dict:
        return _STR.issuperset(map(id, map(type, value))) and _are_plain(value.values())
    return _are_plain(value) if kind is list or kind is tuple else id(kind) in _PLAIN


def _are_plain(values: Iterable[Any]) -> bool:
    return _PLAIN.issuperset(map(id, map(type, values))) or all(map(_is_plain, values))


def _written(value: Any) -> bytes:
    """As its own class writes it."""
    from trioq.core.convert import CONVERTER

    return payload.encode_value(CONVERTER.unstructure(value), "result")


def decode(encoded: bytes, returns: Any) -> Any:
    """A result as its declared type.

    Args:
      returns: What :func:`returned_by` says of the handler; ``Any`` takes JSON as it is.

    Raises:
      ResultUnfit: It isn't one of these, or no JSON.
    """
    try:
        value = payload.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise ResultUnfit(f"the result doesn't decode: {error}") from None
    if returns in (Any, object):
        return value
    from trioq.core import convert

    try:
        return convert.CONVERTER.structure(value, returns)
    except Exception as error:
        faults = list(convert.faults_of(error, "result"))
        more = len(faults) - SHOWN_FAULTS
        shown = [*faults[:SHOWN_FAULTS], *([f"and {more} more"] if more > 0 else [])]
        raise ResultUnfit("; ".join(shown)) from None


def returned_by(function: Callable[..., Any]) -> Any:
    """What a function says that it returns; ``Any`` where it doesn't, or nobody can tell.

    Of one that returns something to be awaited, what comes of that.
    """
    inner = inspect.unwrap(function)
    said = getattr(inner, "__annotations__", {}).get("return", Any)
    scope = getattr(inner, "__globals__", {})
    try:
        hints = get_type_hints(SimpleNamespace(__annotations__={"return": said}, __globals__=scope))
    except Exception:  # a name that is only there for type checkers, say
        return Any
    return _awaited(hints["return"])


def _awaited(kind: Any) -> Any:
    if kind in (NoReturn, Never):
        return NoneType
    if get_origin(kind) in (collections.abc.Awaitable, collections.abc.Coroutine):
        args = get_args(kind)
        return args[-1] if args else Any
    return kind
