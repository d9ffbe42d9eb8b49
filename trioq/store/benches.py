"""Namespaces of benchmarks: how far one has come, which were left behind, and how they go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trioq.store import kept
from trioq.store.keys import CATALOGUE, FIXED, bench_namespace
from trioq.store.redis import RedisStore

#: Keys looked at in one round trip.
STEP = 500

#: Keys forgotten by one request. The server frees what is in them beside its work.
PAGE = 100


def ask(store: RedisStore) -> None:
    """Raises where nobody answers."""
    store.lane.call("TIME")


def registered(store: RedisStore) -> int:
    """How many engines there are."""
    return int(store.lane.call("HLEN", store.keys.fixed("engines")))


def finished(store: RedisStore) -> tuple[int, int]:
    """How many jobs are done, and how many are dead."""
    done, dead = store.lane.pipeline(
        [("HGET", store.keys.fixed("stats"), "done"), ("ZCARD", store.keys.fixed("dead"))]
    )
    return kept.number(done), int(dead)


def forget(store: RedisStore, queues: Sequence[str], sender: str) -> None:
    """Forget all of a benchmark's own namespace.

    Args:
      queues: The configured ones, beside those that anything was enqueued to.
      sender: The client that enqueued.
    """
    lane, keys = store.lane, store.keys
    doors = kept.texts(lane.call("HKEYS", keys.fixed("parked")))
    engines = kept.texts(lane.call("HKEYS", keys.fixed("engines")))
    used = kept.texts(lane.call("SMEMBERS", keys.fixed("queues")))
    kinds = [doc.name.partition(":")[0] for doc in CATALOGUE if doc.name.endswith(":<queue>")]
    everything = [
        *(keys.fixed(name) for name in sorted(FIXED)),
        *keys.of_queues({*used, *queues}, *kinds),
        *(keys.of("parked", door) for door in doors),
        *(key for engine in engines for key in keys.held(engine)),
        keys.of("sender", sender),
    ]
    lane.call("UNLINK", *everything)


def bench_keys(store: RedisStore) -> dict[str, list[str]]:
    """Namespace → its keys, for each benchmark of this namespace; also one that runs now.

    Looks at every key of the database, a few hundred at a time.
    """
    pattern, cursor = f"{{{bench_namespace(store.keys.namespace, '*')}}}:*", b"0"
    found: dict[str, list[str]] = {}
    while True:
        cursor, keys = store.lane.call("SCAN", cursor, "MATCH", pattern, "COUNT", STEP)
        for key in kept.texts(keys):
            found.setdefault(key[1:].partition("}")[0], []).append(key)
        if cursor == b"0":
            return {name: sorted(set(keys)) for name, keys in sorted(found.items())}


def forget_keys(store: RedisStore, keys: Sequence[str]) -> Iterator[int]:
    """Forget what :func:`bench_keys` has found. Yields how many the last page had."""
    for start in range(0, len(keys), PAGE):
        page = keys[start : start + PAGE]
        store.lane.call("UNLINK", *page)
        yield len(page)
