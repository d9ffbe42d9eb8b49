"""What people hand to ``enqueue``: taken where it makes sense, else refused by its name.

A value of the wrong kind is a :class:`TypeError`, one of the right kind that can't be is a
:class:`~trioq.errors.PayloadRejected`.
"""

from __future__ import annotations

import datetime
import enum
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from trioq.core import valid
from trioq.core.config.numbers import seconds_of
from trioq.core.fair import ASKS_NOTHING, Asked, check_weight, fair_key
from trioq.errors import PayloadRejected

#: What other queues call it.
MEANT = {
    "retry": "max_attempts",
    "retries": "max_attempts",
    "max_retries": "max_attempts",
    "countdown": "delay",
    "schedule_in": "delay",
    "time_limit": "timeout",
    "ttl": "expires",
    "expires_in": "expires",
    "expires_at": "expires",
    "job_id": "id",
    "task_id": "id",
    "queue_name": "queue",
    "args": "payload",
    "kwargs": "payload",
}

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

Seconds = float | Decimal | datetime.timedelta
Keep = Seconds | str
"""For how long something is kept; also as a text, such as ``"1h"``."""
When = datetime.datetime | Seconds | str
"""A moment: an aware datetime; or from now, seconds, a timedelta, or a text such as ``"1h"``."""


class Inherit(enum.Enum):
    """What an enqueue asks for that says nothing of a deadline."""

    INHERIT = "the deadline of the job whose handler enqueues it, if that has one"


INHERIT = Inherit.INHERIT


def seconds(argument: str, value: Any, rule: valid.Rule) -> float:
    """A time: a number of seconds of any kind, or a timedelta.

    Raises:
      TypeError: It is something else.
      PayloadRejected: No job can have it.
    """
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    elif isinstance(value, datetime.date):
        raise TypeError(
            f"{argument} is a time in seconds or a timedelta, not a {type(value).__name__}"
        )
    elif isinstance(value, bool) or not isinstance(value, int | float | Real | Decimal):
        raise TypeError(f"{argument} is {valid.shown(value)}: expected seconds, or a timedelta")
    try:
        wanted = float(value)
    except (OverflowError, ValueError):  # more than a float holds; a signalling NaN
        wanted = float("inf")
    _check(argument, wanted, rule)
    return wanted


def keep(argument: str, value: Any, rule: valid.Rule = valid.KEEP_S) -> float:
    """For how long something is kept: seconds, a timedelta, or a text such as ``"1h"``.

    Raises:
      TypeError: It is something else.
      PayloadRejected: No job can have it.
    """
    if isinstance(value, str):
        wanted = seconds_of(value)
        _check(argument, wanted, rule)
        return float(wanted)
    return seconds(argument, value, rule)


def moment(argument: str, value: Any, now_ms: int) -> int:
    """A moment as epoch ms: an aware datetime; or, from now, seconds, a timedelta, or a text such
    as ``"1h"``.

    Raises:
      TypeError: It is something else, or a datetime that names no time zone.
      PayloadRejected: No job can have it.
    """
    if isinstance(value, datetime.datetime):
        return _epoch_ms(argument, value, "; or a time from now, such as timedelta(hours=1)")
    if isinstance(value, str):
        value = seconds_of(value)
        _check(argument, value, valid.AHEAD_S)
    elif isinstance(value, bool) or not isinstance(value, datetime.timedelta | Real | Decimal):
        raise TypeError(f"{argument} is {valid.shown(value)}: expected {valid.AHEAD_S.words}")
    return now_ms + round(seconds(argument, value, valid.AHEAD_S) * 1000)


def wall_clock(at: Any, delay: Any) -> int:
    """When a job is due that says ``at``, as epoch ms.

    Args:
      delay: What it says beside that, which is to be nothing.

    Raises:
      TypeError: It is no datetime, or one that names no time zone; or there is a delay.
      PayloadRejected: No job can have it.
    """
    if not isinstance(at, datetime.datetime):
        raise TypeError(
            f"at is {valid.shown(at)}: expected an aware datetime; delay takes a time from now"
        )
    if delay:
        raise TypeError("at and delay both say when the job is due: expected one of them")
    return max(1, _epoch_ms("at", at))


def _epoch_ms(argument: str, value: datetime.datetime, otherwise: str = "") -> int:
    if value.utcoffset() is None:
        raise TypeError(
            f"{argument} is {value}, in no time zone: expected an aware datetime, such as"
            f" datetime.now(UTC) + timedelta(hours=1){otherwise}"
        )
    since = (value - _EPOCH) // datetime.timedelta(milliseconds=1)
    if not valid.TIME_MS.allows(since):
        raise PayloadRejected(
            f"{argument} is {value}: expected a moment since 1970, before the year 5138"
        )
    return since


def patience(timeout: Any, argument: str = "timeout") -> float:
    """How long one waits: seconds, a timedelta, or without end if it is None."""
    return math.inf if timeout is None else seconds(argument, timeout, valid.DELAY_S)


def reason(value: Any) -> str:
    """Why somebody wants something, in his words.

    Raises:
      TypeError: It is no text.
    """
    if not isinstance(value, str):
        raise TypeError(f"reason is {valid.shown(value)}: expected a text")
    return _text(value)


def id_or_uid(value: Any) -> str:
    """What a job is asked for by.

    Raises:
      TypeError: It is neither a text nor a UUID.
    """
    if isinstance(value, uuid.UUID):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"a job's id or uid is a text or a UUID, not a {type(value).__name__}")
    return _text(value)


def attempts(value: Any) -> int:
    """How often to try.

    Raises:
      TypeError: It is no whole number.
      PayloadRejected: It is one below 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"max_attempts is {valid.shown(value)}: expected {valid.ATTEMPTS.words}")
    _check("max_attempts", int(value), valid.ATTEMPTS)
    return int(value)


def caller_id(value: Any) -> str:
    """The caller's own id: a text, or a UUID, which stands for its text.

    Raises:
      TypeError: It is neither.
      PayloadRejected: It is empty, too long, or can't be sent.
    """
    if isinstance(value, uuid.UUID):
        return str(value)
    if not isinstance(value, str):
        hint = f': "{value}" is one' if type(value) is int and abs(value) < 10**30 else ""
        kind = type(value).__name__
        raise TypeError(f"id is a text or a UUID, not an object of type {kind}{hint}")
    _check("id", value, valid.ID)
    return _text(value)


def fair(key: Any, weight: Any) -> Asked:
    """What an enqueue says of turns itself.

    Raises:
      TypeError: The key is neither a text nor a whole number, or the weight no number.
      PayloadRejected: It is too long, or weighs too much or too little.
    """
    if key is None and weight is None:
        return ASKS_NOTHING
    if isinstance(key, bool) or not isinstance(key, str | int | None):
        raise TypeError(f"fair_key is {valid.shown(key)}: expected a text or a whole number")
    if isinstance(weight, bool) or not isinstance(weight, Real | None):
        raise TypeError(f"weight is {valid.shown(weight)}: expected a number")
    if key is not None:
        key = _text(key) if isinstance(key, str) else int(key)
    weight = None if weight is None else float(weight)
    try:
        if key is not None:
            fair_key(key)
        if weight is not None:
            check_weight(weight)
    except ValueError as error:
        raise PayloadRejected(str(error)) from None
    return Asked(key, weight)


def queue_name(value: Any) -> str | None:
    """The queue that was asked for; None: none was.

    Raises:
      TypeError: It is no text.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"queue is {valid.shown(value)}: expected {valid.QUEUE.words}")
    return _text(value) if value else None


def refuse_unknown(unknown: Mapping[str, Any], of: str = "enqueue") -> None:
    """Refuse arguments that there aren't.

    Raises:
      TypeError: With what may have been meant.
    """
    for name in unknown:
        if meant := MEANT.get(name):
            raise TypeError(f"{of} has no argument {name!r}: did you mean {meant!r}?")
        if name == "full_timeout":
            raise TypeError(f"{of} has no argument {name!r}: it says how long an enqueue waits")
        raise TypeError(
            f"{of} has no argument {name!r}: a handler's arguments go into handler.call(…),"
            " or into a dict after its name"
        )


def _text(value: str) -> str:
    """The text of a member of an enumeration, say, which may spell itself otherwise."""
    return str.__str__(value)


def _check(argument: str, value: Any, rule: valid.Rule) -> None:
    try:
        rule.check(argument, value)
    except ValueError as error:
        raise PayloadRejected(str(error)) from None
