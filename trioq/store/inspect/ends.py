"""Which jobs have ended, for whoever follows many of them."""

from __future__ import annotations

from collections.abc import Iterable

from trioq.core.job import Uid
from trioq.store.redis import RedisStore

#: Jobs asked about in one round trip.
JOBS = 500


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
