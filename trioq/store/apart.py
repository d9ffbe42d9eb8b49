"""A namespace that somebody has alone for a while, as a test has: what lies there, and its end."""

from __future__ import annotations

import contextlib

from trioq.errors import StoreError
from trioq.store import kept
from trioq.store.redis import RedisStore

#: Keys looked at in one round trip.
PAGE = 1000


def alive(store: RedisStore) -> int:
    """How many jobs are neither over nor dead."""
    fixed = store.keys.fixed
    jobs, dead = store.lane.transaction([("HLEN", fixed("jobs")), ("ZCARD", fixed("dead"))])
    return int(jobs) - int(dead)


def counted(store: RedisStore, word: str) -> int:
    """What has been counted so far of what this names: ``done``, say."""
    return kept.number(store.lane.call("HGET", store.keys.fixed("stats"), word))


def forget(store: RedisStore) -> None:
    """Forget all of it."""
    cursor = b"0"
    while True:
        cursor, keys = store.lane.call("SCAN", cursor, "MATCH", store.keys.of("*"), "COUNT", PAGE)
        if keys:
            store.lane.call("UNLINK", *keys)
        if cursor == b"0":
            return


def end_server(store: RedisStore) -> None:
    """End the server, with all that it has."""
    with contextlib.suppress(StoreError):  # it doesn't answer any more
        store.lane.call("SHUTDOWN", "NOSAVE")
