"""The keys: what lies in the namespace and belongs to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trioq.doctor.finding import Finding, fault, ok, some, warning
from trioq.store import kept
from trioq.store.benches import bench_keys
from trioq.store.inspect import stats
from trioq.store.inspect.sizes import known_keys
from trioq.store.redis import RedisStore

#: Keys looked at in one round trip.
STEP = 500

#: A database with more keys than this is looked through by nobody.
MOST = 2_000_000

#: Keys that come and go by themselves, and so must have a time to live.
PASSING = ("sender", "limit", "shown")


def leftovers(store: RedisStore, queues: Sequence[str]) -> Iterator[Finding]:
    """Keys that trioq doesn't know, that have the wrong type, or that a benchmark left behind."""
    if (there := int(store.lane.call("DBSIZE"))) > MOST:
        yield warning("keys", f"not looked at: the database has {there:,} keys")
        return
    known = dict(known_keys(store, stats(store, queues)))
    wrong, strange = {}, {}
    for key, type_, ttl_ms in _scan(store):
        if key in known:
            if known[key] != type_:
                wrong[key] = type_
        elif not (_kind(store, key) in PASSING and ttl_ms >= 0):
            strange[key] = type_
    # What has come into being since belongs to somebody: look again before saying anything.
    if strange:
        now = known_keys(store, stats(store, queues))
        strange = {key: t for key, t in strange.items() if key not in now and _exists(store, key)}
    yield from _told(store, wrong, strange)
    benches = bench_keys(store)
    if benches:
        count = sum(map(len, benches.values()))
        yield warning(
            "keys",
            f"{count} key(s) of benchmarks: {some(benches)}. Unless one runs now, it was killed:"
            " trioq bench --clear forgets them",
        )
    if not wrong and not strange and not benches:
        yield ok("keys", "nothing is left over")


def _told(
    store: RedisStore, wrong: Mapping[str, str], strange: Mapping[str, str]
) -> Iterator[Finding]:
    if wrong:
        yield fault("keys", f"of another type than they should be: {some(wrong)}")
    lost = [key for key in strange if _kind(store, key) in ("running", "packs")]
    if lost:
        yield fault("keys", f"jobs held by engines that aren't registered: {some(lost)}")
    if unknown := strange.keys() - set(lost):
        yield warning("keys", f"in the namespace, but not trioq's: {some(unknown)}")


def _scan(store: RedisStore) -> Iterator[tuple[str, str, int]]:
    """Every key of the namespace: its name, its type, its time to live (-1: none)."""
    pattern, cursor = f"{{{store.keys.tag}}}:*", b"0"
    while True:
        cursor, found = store.lane.call("SCAN", cursor, "MATCH", pattern, "COUNT", STEP)
        asked = [(command, key) for key in found for command in ("TYPE", "PTTL")]
        told = store.lane.pipeline(asked) if asked else []
        for key, type_, ttl_ms in zip(found, told[::2], told[1::2], strict=True):
            if type_ != b"none":
                yield kept.text(key), type_.decode().upper(), ttl_ms
        if cursor == b"0":
            return


def _kind(store: RedisStore, key: str) -> str:
    return key.removeprefix(f"{{{store.keys.tag}}}:").partition(":")[0]


def _exists(store: RedisStore, key: str) -> bool:
    return bool(store.lane.call("TYPE", key) != b"none")
