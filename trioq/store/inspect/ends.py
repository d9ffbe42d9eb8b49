"""How jobs have ended, for whoever follows many of them."""

from __future__ import annotations

from collections.abc import Iterable

from trioq.core.formats import summary
from trioq.core.formats.summary import Summary
from trioq.core.job import Uid
from trioq.store.redis import RedisStore

#: Summaries read in one round trip, and jobs asked about.
SUMMARIES = 200
JOBS = 500


def newest_done(store: RedisStore) -> bytes:
    """The last summary, as a mark for :func:`done_since`; empty: there is none."""
    found = store.lane.call("LRANGE", store.keys.fixed("done"), 0, 0)
    return bytes(found[0]) if found else b""


def done_since(store: RedisStore, mark: bytes) -> tuple[list[Summary], bytes]:
    """The summaries that came after this mark, the last one first, and the next mark.

    Where the mark isn't kept any more, all that are.
    """
    found: list[Summary] = []
    newest, start, key = mark, 0, store.keys.fixed("done")
    while page := store.lane.call("LRANGE", key, start, start + SUMMARIES - 1):
        newest = page[0] if start == 0 else newest
        for raw in page:
            if raw == mark:
                return found, newest
            if (read := summary.decode(raw)) is not None:
                found.append(read)
        start += len(page)
    return found, newest


def ended(store: RedisStore, uids: Iterable[Uid]) -> tuple[set[Uid], set[Uid]]:
    """Which of these are dead, and which are gone: done, cancelled or purged."""
    jobs, dead_key = store.keys.fixed("jobs"), store.keys.fixed("dead")
    asked = sorted(uids)
    dead: set[Uid] = set()
    gone: set[Uid] = set()
    for page in (asked[at : at + JOBS] for at in range(0, len(asked), JOBS)):
        scores, *there = store.lane.pipeline(
            [("ZMSCORE", dead_key, *page), *(("HEXISTS", jobs, uid) for uid in page)]
        )
        dead |= {uid for uid, score in zip(page, scores, strict=True) if score is not None}
        gone |= {uid for uid, is_there in zip(page, there, strict=True) if not is_there}
    return dead, gone
