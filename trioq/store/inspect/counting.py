"""Counts how many jobs are where."""

from __future__ import annotations

from collections.abc import Sequence

from trioq.store.inspect import rooms, suspects
from trioq.store.inspect.counts import Outstanding, Stats
from trioq.store.inspect.in_line import in_line
from trioq.store.inspect.moment import UNKNOWN, moment_of
from trioq.store.redis import RedisStore


def stats(store: RedisStore, queues: Sequence[str] = ()) -> Stats:
    """Count everything.

    Args:
      queues: The configured ones, which are shown even if nothing was ever in them.

    Raises:
      StoreBusy: Queues or engines came and went each time it was tried.
    """
    moment = moment_of(store, queues)
    # There are few at most times: only then it is asked what holds them up, and counted again.
    if held_up := suspects.refused(store, moment.with_suspects):
        moment = moment_of(store, queues, held_up=held_up)
    line = in_line(store) if moment.in_line else {}
    return moment.stats(store.keys.namespace, frozenset(queues), line)


def outstanding(
    store: RedisStore, queues: Sequence[str], horizon_ms: int
) -> tuple[dict[str, Outstanding], int, frozenset[str]]:
    """What is left to do in these queues, how much of them runs, and which names engines know.

    Counted at one moment: a job that is promoted or claimed meanwhile isn't overlooked.
    """
    now_ms = store.now_ms()
    horizon = now_ms + horizon_ms
    places = rooms.places(store, frozenset(queues))
    held_up = suspects.refused(store, queues)
    moment = moment_of(store, queues, horizon, places, held_up)
    return (
        {queue: moment.outstanding(queue, now_ms, horizon) for queue in queues},
        sum(held[queue] for held in moment.running.values() for queue in (*queues, UNKNOWN)),
        frozenset(name for info in moment.engines.values() for name in info.names),
    )
