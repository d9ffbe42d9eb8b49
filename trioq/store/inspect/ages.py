"""How long the jobs have been wanted that would be claimed next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from trioq.core.formats.record import decode
from trioq.errors import RecordUnreadable
from trioq.store import kept
from trioq.store.inspect import fields, turns
from trioq.store.redis import RedisStore

#: What lies at the head of a list may have been cancelled; so many are looked at.
HEAD = 8

What = TypeVar("What")


def oldest_ready_ms(store: RedisStore, queues: Sequence[str]) -> dict[str, int]:
    """Queue → how long its next job has been wanted, where there is one that can be read."""
    return merged(oldest_plain_ms(store, queues), oldest_keyed_ms(store, queues))


def merged(plain_ms: Mapping[str, int], keyed_ms: Mapping[str, int]) -> dict[str, int]:
    """Of each queue the longer time."""
    longer = {queue: max(age, plain_ms.get(queue, 0)) for queue, age in keyed_ms.items()}
    return {**plain_ms, **longer}


def oldest_plain_ms(store: RedisStore, queues: Sequence[str]) -> dict[str, int]:
    """The same of those without a fair key."""
    keys = store.keys
    # From the right: the suspects come first.
    return oldest_ms(
        store, {q: [keys.of(kind, q) for kind in ("ready", "suspects")] for q in queues}
    )


def oldest_keyed_ms(store: RedisStore, queues: Sequence[str]) -> dict[str, int]:
    """The same of those with a fair key whose turns come next."""
    if not store.lane.call("ZCARD", store.keys.fixed("fair")):
        return {}
    commands = [turns.the_next(store.keys, queue, 0, HEAD) for queue in queues]
    time, *heads = store.lane.pipeline([("TIME",), *commands])
    now_ms = store.us_of(time) // 1000
    of = {turns.uid_of(m): queue for queue, head in zip(queues, heads, strict=True) for m in head}
    ages: dict[str, int] = {}
    (records,) = fields.read(store, ["jobs"], list(of)) if of else ((),)
    for (uid, queue), stored in zip(of.items(), records, strict=True):
        if (wanted_ms := _wanted_ms(uid, stored)) is not None:
            ages[queue] = max(ages.get(queue, 0), now_ms - wanted_ms)
    return ages


def oldest_ms(store: RedisStore, lists: Mapping[What, Sequence[str]]) -> dict[What, int]:
    """How long the next job of each of these has been wanted, where there is one that can be read.

    Args:
      lists: The keys of lists of uids, the next one at the right of the last.
    """
    time, *heads = store.lane.pipeline(
        [
            ("TIME",),
            *(("LRANGE", key, -HEAD, -1) for keys in lists.values() for key in keys),
        ]
    )
    now_ms = store.us_of(time) // 1000
    answers = iter(heads)
    found = {what: [uid for _ in keys for uid in next(answers)] for what, keys in lists.items()}
    candidates = {what: uids for what, uids in found.items() if uids}
    ages: dict[What, int] = {}
    while candidates:
        asked = [kept.text(uids[-1]) for uids in candidates.values()]
        (records,) = fields.read(store, ["jobs"], asked)
        for (what, uids), stored in zip(list(candidates.items()), records, strict=True):
            wanted_ms = _wanted_ms(kept.text(uids.pop()), stored)
            if wanted_ms is not None:
                ages[what] = max(0, now_ms - wanted_ms)
            if wanted_ms is not None or not uids:
                del candidates[what]
    return ages


def _wanted_ms(uid: str, stored: bytes | None) -> int | None:
    """None: it was cancelled, or doesn't say."""
    if stored is None:
        return None
    try:
        return decode(uid, stored).record.wanted_ms or None
    except RecordUnreadable:
        return None
