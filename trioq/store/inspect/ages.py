"""How long the jobs have been wanted that would be claimed next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from trioq.core.formats.record import decode
from trioq.errors import RecordUnreadable
from trioq.store import kept
from trioq.store.inspect import fields
from trioq.store.redis import RedisStore

#: What lies at the head of a list may have been cancelled; so many are looked at.
HEAD = 8

What = TypeVar("What")


def oldest_ready_ms(store: RedisStore, queues: Sequence[str]) -> dict[str, int]:
    """Queue → how long its next job has been wanted, where there is one that can be read."""
    keys = store.keys
    # From the right: the suspects come first.
    lists = {queue: [keys.of(kind, queue) for kind in ("ready", "suspects")] for queue in queues}
    return oldest_ms(store, lists)


def oldest_ms(store: RedisStore, lists: Mapping[What, Sequence[str]]) -> dict[What, int]:
    """How long the next job of each of these has been wanted, where there is one that can be read.

    Args:
      lists: The keys of lists of uids, the next one at the right of the last.
    """
    (seconds, micros), *heads = store.lane.pipeline(
        [
            ("TIME",),
            *(("LRANGE", key, -HEAD, -1) for keys in lists.values() for key in keys),
        ]
    )
    now_ms = int(seconds) * 1000 + int(micros) // 1000
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
