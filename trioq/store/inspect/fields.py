"""What hashes hold, whoever wrote it and however much it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trioq.core.job import Uid
from trioq.errors import StoreUnreachable
from trioq.store import kept
from trioq.store.reader import is_too_long
from trioq.store.redis import RedisStore

#: Nothing of ours is larger, but for payloads that lie apart.
OURS_BYTES_MAX = 1 << 20

#: Fields of a hash that are looked through: claims, say, or values that somebody waits for.
LOOKED = 10_000

#: In one round trip.
PAGE = 500


def scanned(store: RedisStore, name: str) -> Iterator[tuple[str, str]]:
    """The fields of a hash and their values, as far as is looked."""
    cursor, looked = "0", 0
    while True:
        answer = store.lane.call("HSCAN", store.keys.fixed(name), cursor, "COUNT", PAGE)
        cursor, flat = kept.text(answer[0]), answer[1]
        looked += len(flat) // 2
        yield from zip(kept.texts(flat[::2]), kept.texts(flat[1::2]), strict=True)
        if cursor == "0" or looked >= LOOKED:
            return


def read(store: RedisStore, names: Sequence[str], uids: Sequence[Uid]) -> list[list[bytes | None]]:
    """For each of these hashes its values of these jobs; in place of one that is too large, what
    it is: nobody can read that either."""
    try:
        return store.lane.pipeline([("HMGET", store.keys.fixed(name), *uids) for name in names])
    except StoreUnreachable as error:
        if not is_too_long(error):
            raise
    return [_one_by_one(store, name, uids) for name in names]


def _one_by_one(store: RedisStore, name: str, uids: Sequence[Uid]) -> list[bytes | None]:
    key = store.keys.fixed(name)
    sizes = store.lane.pipeline([("HSTRLEN", key, uid) for uid in uids])
    small = [uid for uid, size in zip(uids, sizes, strict=True) if size <= OURS_BYTES_MAX]
    values = (
        dict(zip(small, store.lane.pipeline([("HGET", key, uid) for uid in small]), strict=True))
        if small
        else {}
    )
    return [
        values[uid] if uid in values else b"(%d bytes)" % size
        for uid, size in zip(uids, sizes, strict=True)
    ]
