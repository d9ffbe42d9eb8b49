"""What benchmarks have left behind: namespaces beside this one, of runs that were killed."""

from __future__ import annotations

from trioq.store.keys import bench_namespace
from trioq.store.redis import RedisStore

#: Keys looked at in one round trip.
STEP = 500


def bench_keys(store: RedisStore) -> dict[str, list[str]]:
    """Namespace → its keys, for each benchmark of this namespace; also one that runs now.

    Looks at every key of the database, a few hundred at a time.
    """
    pattern, cursor = f"{{{bench_namespace(store.keys.namespace, '*')}}}:*", b"0"
    found: dict[str, list[str]] = {}
    while True:
        cursor, keys = store.lane.call("SCAN", cursor, "MATCH", pattern, "COUNT", STEP)
        for key in map(bytes.decode, keys):
            found.setdefault(key[1:].partition("}")[0], []).append(key)
        if cursor == b"0":
            return {name: sorted(set(keys)) for name, keys in sorted(found.items())}
