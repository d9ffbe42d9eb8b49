"""Moments of a world, and how long it is until then: as tests say them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from trioq.core.config.numbers import seconds_of

Time = float | str | timedelta
"""Seconds, a text such as ``"1d"``, or a timedelta."""

Until = Time | datetime | Callable[[], bool]
"""How long, until when, or until a function says that it is over."""

#: What the server's clock says when a world begins: whole seconds, so that due times are exact.
EPOCH = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def seconds_in(time: Time) -> float:
    """
    Raises:
      ValueError: It is no time.
    """
    seconds = seconds_of(time)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(f'{time!r} is no time: seconds, a text such as "1d", or a timedelta')
    return float(seconds)


def seconds_until(until: Until | None, time: datetime) -> float:
    """How long it is from this time on; infinite, if that isn't said in time.

    Raises:
      ValueError: It is no time.
    """
    if until is None or callable(until):
        return math.inf
    if isinstance(until, datetime):
        return (until - time).total_seconds()
    return seconds_in(until)


def whole_seconds(moment: datetime) -> datetime:
    """A moment without its fraction, in UTC.

    Raises:
      ValueError: It has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone: datetime(…, tzinfo=…), or datetime.now(UTC)")
    return moment.astimezone(UTC).replace(microsecond=0)
