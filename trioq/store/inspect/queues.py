"""Which queues there are, and how much waits in one."""

from __future__ import annotations

from trioq.store import kept
from trioq.store.inspect import turns
from trioq.store.redis import RedisStore


def queue_names(store: RedisStore) -> frozenset[str]:
    """All queues that anything is in; others are forgotten some time after they are empty."""
    names = store.lane.call("SMEMBERS", store.keys.fixed("queues"))
    return frozenset(kept.texts(names))


def parked_names(store: RedisStore, queue: str) -> list[str]:
    """The handlers' names that jobs of this queue are parked under."""
    doors = kept.texts(store.lane.call("HKEYS", store.keys.fixed("parked")))
    return sorted(name for behind, name in map(kept.door, doors) if behind == queue)


def waiting(store: RedisStore, queue: str) -> int:
    """How many uids wait in a queue, those that were cancelled and still lie there included."""
    keys = store.keys
    lists = [keys.of("ready", queue), keys.of("suspects", queue)]
    lists += [keys.of("parked", queue, name) for name in parked_names(store, queue)]
    questions: list[tuple[object, ...]] = [
        ("ZCARD", keys.of("scheduled", queue)),
        ("ZLEXCOUNT", keys.fixed("limited"), f"[{queue}\0", f"({queue}\1"),
        *(("LLEN", key) for key in lists),
        turns.how_many(keys, queue),
    ]
    return sum(store.lane.transaction(questions))
