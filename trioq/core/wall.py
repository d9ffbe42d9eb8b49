"""What a clock on the wall shows in this process: real time, but where a test says otherwise.

Deadlines, and when something happened, go by it; leases and timeouts don't, nor does what is due,
which is the server's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_now_ns: Callable[[], int] = time.time_ns


def wall_ms() -> int:
    """Milliseconds since the epoch."""
    return _now_ns() // 1_000_000


def wall_s() -> float:
    """Seconds since the epoch."""
    return _now_ns() / 1e9


@contextmanager
def shown_by(clock: Callable[[], float]) -> Iterator[None]:
    """While this lasts it shows what this does, in seconds since the epoch, in all threads."""
    global _now_ns  # noqa: PLW0603
    # Rounded: a float of today has quarters of a microsecond.
    before, _now_ns = _now_ns, lambda: round(clock() * 1e6) * 1000
    try:
        yield
    finally:
        _now_ns = before
