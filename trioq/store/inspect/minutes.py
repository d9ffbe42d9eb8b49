"""The last day, minute by minute, for pictures: written by the one engine that counts for all."""

from __future__ import annotations

from contextlib import suppress

from trioq.core.formats import minutes
from trioq.core.formats.minutes import KEPT, Minute
from trioq.errors import StoreBusy, StoreRefused
from trioq.store.inspect.sample import Sample
from trioq.store.redis import RedisStore


def note_minute(store: RedisStore, minute: int, seen: Sample) -> None:
    """Keep what stands at the beginning of a minute.

    Args:
      minute: Since the epoch.
    """
    stats = seen.stats
    record = minutes.encode(
        minute,
        stats.counters,
        oldest_ms=max(seen.oldest_ready_ms.values(), default=None),
        waiting=sum(queue.waiting for queue in stats.queues.values()),
        running=stats.running,
    )
    # Nothing rests on it: a full server keeps no history, nor does one that permits it to nobody.
    with suppress(StoreBusy, StoreRefused):
        store.lane.call("SETRANGE", store.keys.fixed("minutes"), minutes.place(minute), record)


def last_minutes(store: RedisStore, hours: float) -> list[Minute]:
    """What is known of the minutes of the last hours, the earliest first; of some nothing may be.

    Args:
      hours: 24 at most.
    """
    count = min(KEPT - 1, max(1, round(hours * 60)))
    ring, now_ms = store.lane.call("GET", store.keys.fixed("minutes")), store.now_ms()
    this = now_ms // 60_000
    return list(minutes.decode(ring or b"", this - count, this - 1))
