"""A shared rate limit: the generic cell rate algorithm.

From ATM traffic shaping (ITU-T I.371): instead of counting tokens it keeps one number, the
theoretical arrival time of the next cell. Whole microseconds only, because
``enqueue.lua`` computes the same and both must agree to the last digit.
"""

from __future__ import annotations

import math

import attrs


@attrs.frozen
class Grant:
    """What may go now."""

    granted: int
    tat_us: int
    """The theoretical arrival time after it, epoch microseconds."""
    wait_us: int
    """Until one more may go; 0 if all that was wanted was granted."""


def interval_us(rate: float) -> int:
    """The time between two permits at ``rate`` per second, which is above 0.

    Rounded up: the limit may be missed by a little (1 % at 10,000 per second), but never
    passed. The fastest limit is a million per second.
    """
    return math.ceil(1_000_000 / rate)


def grant(tat_us: int, now_us: int, *, wanted: int, interval_us: int, burst: int) -> Grant:
    """Grant up to ``wanted`` permits.

    In any time t no more than ``burst + t / interval_us`` are granted. Where the clock went
    back, the stored time is bounded by a full burst: an empty bucket, from which it heals.

    Args:
      tat_us: As the last grant left it; 0 at first.
      now_us: Of the server's clock, epoch. With ``burst * interval_us`` it stays below 2 ** 53,
        since Lua's numbers are doubles.
    """
    room_us = burst * interval_us
    tat_us = min(max(tat_us, now_us), now_us + room_us)
    granted = min(wanted, (now_us + room_us - tat_us) // interval_us)
    tat_us += granted * interval_us
    wait_us = max(0, tat_us + interval_us - room_us - now_us) if granted < wanted else 0
    return Grant(granted, tat_us, wait_us)


def start_us(tat_us: int, from_us: int, *, nth: int, interval_us: int, burst: int) -> int:
    """When the nth start that comes from then on is admitted at the earliest; 0 is the next one.

    Args:
      tat_us: As the last grant left it.
      from_us: Before that none is; epoch, like the other.
    """
    tat_us = min(tat_us, from_us + burst * interval_us)
    first_us = max(from_us, tat_us - (burst - 1) * interval_us)
    return max(first_us, max(tat_us, first_us) + (nth - burst + 1) * interval_us)
