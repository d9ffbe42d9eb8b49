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
    """The time between two permits at ``rate`` per second.

    Rounded up: the limit may be missed by a little, but never passed.
    """
    return max(1, math.ceil(1_000_000 / rate))


def grant(tat_us: int, now_us: int, *, wanted: int, interval_us: int, burst: int) -> Grant:
    """Grant up to ``wanted`` permits.

    In any time t no more than ``burst + rate * t`` are granted. Where the clock went back,
    the stored time is bounded by a full burst, so that it heals at once.
    """
    room_us = burst * interval_us
    tat_us = min(max(tat_us, now_us), now_us + room_us)
    granted = min(wanted, (now_us + room_us - tat_us) // interval_us)
    tat_us += granted * interval_us
    wait_us = max(0, tat_us + interval_us - room_us - now_us) if granted < wanted else 0
    return Grant(granted, tat_us, wait_us)
