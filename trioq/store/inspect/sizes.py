"""How large each key of a namespace is. Costs a constant for each key, however large."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from trioq.core.formats.door import name_of
from trioq.errors import StoreRefused
from trioq.store.inspect.counts import Stats
from trioq.store.keys import CATALOGUE, FIXED
from trioq.store.redis import RedisStore

#: Keys asked for in one round trip.
KEYS_AT_A_TIME = 100

#: How to ask for the number of elements. Strings are short, and count as one.
LENGTH_OF = {"HASH": "HLEN", "LIST": "LLEN", "SET": "SCARD", "ZSET": "ZCARD", "STRING": "GET"}


@attrs.frozen
class KeySize:
    """One key."""

    key: str
    type: str
    length: int
    """How many elements."""
    bytes: int | None
    """Estimated by the server; None: the user may not ask."""


def sizes(store: RedisStore, stats: Stats) -> list[KeySize]:
    """The keys that there are, the largest first; those of clients and limits are left out."""
    there: list[KeySize] = []
    keys = list(known_keys(store, stats).items())
    for start in range(0, len(keys), KEYS_AT_A_TIME):
        there += _sizes(store, keys[start : start + KEYS_AT_A_TIME])
    return sorted(there, key=lambda size: (-(size.bytes or 0), -size.length, size.key))


def known_keys(store: RedisStore, stats: Stats) -> Mapping[str, str]:
    """The keys that a namespace has while it holds what these counts say, and their types."""
    names: dict[tuple[str, ...], list[tuple[str, ...]]] = {
        ("<queue>",): [(queue,) for queue in (*stats.queues, *stats.unused)],
        ("<queue>", "<door>"): [*stats.parked],
        ("<queue>", "<name>"): [(queue, name_of(door)) for queue, door in stats.parked],
        ("<boot>",): [(engine.id,) for engine in stats.engines],
    }
    found: dict[str, str] = {}
    for doc in CATALOGUE:
        if doc.name in FIXED:
            found[store.keys.fixed(doc.name)] = doc.type
        kind, *_ = doc.name.split(":")
        for each in names.get(tuple(re.findall("<.*?>", doc.name)), ()):
            found[store.keys.of(kind, *each)] = doc.type
    return found


def _sizes(store: RedisStore, keys: Sequence[tuple[str, str]]) -> Iterator[KeySize]:
    lengths = store.lane.pipeline([(LENGTH_OF[type_], key) for key, type_ in keys])
    used = _used(store, [key for key, _ in keys])
    for (key, type_), length, size in zip(keys, lengths, used, strict=True):
        if length:
            yield KeySize(key, type_, 1 if type_ == "STRING" else length, size)


def _used(store: RedisStore, keys: Sequence[str]) -> list[Any]:
    try:
        return store.lane.pipeline([("MEMORY", "USAGE", key) for key in keys])
    except StoreRefused as error:
        if not str(error).startswith("NOPERM"):
            raise
        return [None] * len(keys)
