"""What becomes of a job after an attempt: pure, from how the attempt ended."""

from __future__ import annotations

import math
from typing import assert_never

import attrs
from attrs import validators as v

from trioq.core.outcome import (
    DeadReason,
    Error,
    Failed,
    Interrupted,
    LateReason,
    Outcome,
    Snoozed,
    Starved,
    Succeeded,
    TooLate,
    Unfit,
)
from trioq.core.valid import LONGEST_MS
from trioq.core.values import value

#: The last power of two that a float can hold.
MAX_DOUBLINGS = 1023


@attrs.frozen
class Retry:
    """How often a job is tried, and how long it waits in between.

    After the n-th failure it waits ``base * 2 ** (n - 1)`` seconds, at most ``cap``, of which
    the part ``jitter`` is random, so that jobs that failed together don't come back together.

    Raises:
      ValueError, TypeError: Where a value makes no sense.
    """

    max_attempts: int = attrs.field(default=4, validator=[v.instance_of(int), v.ge(1)])
    """All runs, the first included."""
    base: float = attrs.field(default=0.5, validator=[v.ge(0), v.lt(math.inf)])
    """Seconds."""
    cap: float = attrs.field(default=10.0, validator=[v.ge(0), v.lt(math.inf)])
    """Seconds."""
    jitter: float = attrs.field(default=0.5, validator=[v.ge(0), v.le(1)])
    """From 0 to 1."""


@value
class Ack:
    """Done."""


@value
class RetryIn:
    """Scheduled again."""

    delay_ms: int
    error: Error | None
    """None where there is nothing to remember: a snooze."""


@value
class Dead:
    """No more attempts."""

    reason: DeadReason
    error: Error


@value
class Release:
    """Given back; the attempt doesn't count."""


@value
class Park:
    """It waits for who may run it; the attempt doesn't count."""

    door: str


@value
class Cancelled:
    """No more attempts: it is too late."""

    reason: LateReason


Verdict = Ack | RetryIn | Dead | Release | Park | Cancelled


def backoff_s(attempt: int, retry: Retry, random: float) -> float:
    """How long to wait after the ``attempt``-th failure, in seconds.

    Args:
      attempt: From 1. However large, the wait is at most the cap, and never an overflow.
      random: In [0, 1); draws from the jittered part.
    """
    full_s = min(retry.cap, retry.base * 2.0 ** min(attempt - 1, MAX_DOUBLINGS))
    return full_s * (1 - retry.jitter * random)


def decide(outcome: Outcome, *, attempt: int, retry: Retry, random: float) -> Verdict:
    """What becomes of a job whose ``attempt``-th run ended like this.

    Total: whatever a handler asks for, infinity included, this has an answer.
    """
    match outcome:
        case Succeeded():
            return Ack()
        case Snoozed(delay_s):
            return RetryIn(_ms(delay_s), None)
        case Interrupted() | Starved():
            return Release()
        case Unfit(door):
            return Park(door)
        case TooLate(why):
            return Cancelled(why)
        case Failed(error, _, permanent) if permanent is not None:
            return Dead(permanent, error)
        case Failed(error) if attempt >= retry.max_attempts:
            return Dead("failures", error)
        case Failed(error, delay_s):
            again_s = backoff_s(attempt, retry, random) if delay_s is None else delay_s
            return RetryIn(_ms(again_s), error)
        case _:
            assert_never(outcome)


def _ms(delay_s: float) -> int:
    if not delay_s > 0:  # also what isn't a number
        return 0
    return round(min(delay_s * 1000, LONGEST_MS))
