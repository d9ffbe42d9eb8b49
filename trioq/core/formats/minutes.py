"""The last day, minute by minute: a ring in one string, of which each minute has its place.

A record has what the counters stood at when its minute began, so that who reads takes one from the
next, and nobody who writes has to remember anything: where the one that counts is another, nothing
is missing. The counters are kept modulo 2³²; a difference that is more than half of that went back,
as data did that was restored, and is not told.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

#: Minutes that are kept: a day, and those at its ends.
KEPT = 1441

#: The minute; the counters; then what was so at its beginning.
_RECORD = struct.Struct("<8I")

_MOST = 2**32 - 1

#: The server's counters of which each is made.
COUNTERS: Mapping[str, tuple[str, ...]] = {
    "enqueued": ("enqueued",),
    "done": ("done",),
    "failed": ("retried", "dead_letters"),
    "dead": ("dead_letters",),
}


@attrs.frozen
class Minute:
    """What happened in one, and what was so when it began."""

    at_ms: int
    """Its beginning; epoch."""
    enqueued: int
    done: int
    failed: int
    """Attempts."""
    dead: int
    """Jobs that died."""
    oldest_ms: int | None
    """For how long the oldest job had waited that could have run; None: none could."""
    waiting: int
    running: int

    def as_json(self) -> dict[str, Any]:
        """As the API tells it."""
        return attrs.asdict(self)


def place(minute: int) -> int:
    """Where its record begins in the ring.

    Args:
      minute: Since the epoch.
    """
    return minute % KEPT * _RECORD.size


def encode(
    minute: int,
    counters: Mapping[str, int],
    *,
    oldest_ms: int | None,
    waiting: int,
    running: int,
) -> bytes:
    """The record of a minute that has just begun.

    Args:
      counters: The server's.
    """
    stood = [sum(counters.get(name, 0) for name in names) % 2**32 for names in COUNTERS.values()]
    oldest = 0 if oldest_ms is None else 1 + max(0, oldest_ms)
    so = [max(0, min(value, _MOST)) for value in (oldest, waiting, running)]
    return _RECORD.pack(minute % 2**32, *stood, *so)


def decode(ring: bytes, first: int, last: int) -> Iterator[Minute]:
    """The minutes that are known, the earliest first.

    Args:
      ring: All of it, whoever wrote it; what isn't there is empty.
      first, last: Of these minutes, since the epoch, the ends included. One is known when the next
        has begun.
    """
    for minute in range(first, last + 1):
        now, then = _record(ring, minute), _record(ring, minute + 1)
        if now is None or then is None:
            continue
        grown = [(b - a) % 2**32 for a, b in zip(now[:4], then[:4], strict=True)]
        if any(each > 2**31 for each in grown):
            continue
        enqueued, done, failed, dead = grown
        oldest, waiting, running = now[4:]
        yield Minute(
            minute * 60_000, enqueued, done, failed, dead,
            oldest - 1 if oldest else None, waiting, running,
        )  # fmt: skip


def _record(ring: bytes, minute: int) -> tuple[int, ...] | None:
    at = place(minute)
    piece = ring[at : at + _RECORD.size]
    if len(piece) < _RECORD.size:
        return None
    found, *rest = _RECORD.unpack(piece)
    return tuple(rest) if found == minute % 2**32 else None
