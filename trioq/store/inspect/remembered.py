"""What is remembered of jobs that have ended."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from trioq.core.formats import summary
from trioq.core.formats.summary import Summary
from trioq.core.job import Uid
from trioq.store import kept
from trioq.store.inspect.summaries import done
from trioq.store.inspect.views import JobView
from trioq.store.redis import RedisStore

#: How jobs have ended of which there is a summary.
SUMMED_UP = ("done", "cancelled")


def remembered(store: RedisStore, asked: Mapping[str, bytes | None]) -> dict[str, JobView]:
    """Those of these jobs that have ended, as far as it is remembered.

    Args:
      asked: Caller's id or uid → what ``ids`` has of it; at most a page of them.
    """
    states = {id: said(id, known) for id, known in asked.items()}
    # Of those that were purged there never was a summary.
    looked_for = {uid: id for id, (state, uid) in states.items() if state in ("", *SUMMED_UP)}
    own = {id: id for id, known in asked.items() if known is None}
    found: dict[str, JobView] = {}
    for each in done(store) if looked_for else ():
        id = looked_for.get(each.uid) or (own.get(each.id) if each.id else None)
        if id is not None and id not in found:
            found[id] = _over(each.uid, each.state, each)
    found |= _kept(store, {uid: id for uid, id in looked_for.items() if id not in found})
    for id, (state, uid) in states.items():
        if state and id not in found:
            found[id] = JobView(uid, None, state, id=id)
    return found


def said(id: str, known: bytes | None) -> tuple[str, Uid]:
    """How the job with this id has ended, or nothing, and its uid, by what ``ids`` has of it."""
    state, _, uid = kept.text(known).rpartition(":") if known else ("", "", id)
    return state, uid


def _over(uid: Uid, state: str, told: Summary | None) -> JobView:
    reason = told.reason or None if told else None
    noted = told.noted if told else None
    return JobView(uid, None, state, reason=reason, summary=told, noted=noted)


def _kept(store: RedisStore, asked: Mapping[Uid, str]) -> dict[str, JobView]:
    """Those whose end is kept for who asks for their results."""
    if not asked:
        return {}
    uids, keys = [*asked], store.keys
    (seconds, _), values, dues = store.lane.pipeline(
        [
            ("TIME",),
            ("HMGET", keys.fixed("results"), *uids),
            ("ZMSCORE", keys.fixed("results_due"), *uids),
        ]
    )
    found = {}
    for uid, value, due in zip(uids, values, dues, strict=True):
        if value is not None and due is not None and float(due) > int(seconds) * 1000:
            word, _, rest = value.partition(b" ")
            state = "cancelled" if word == b"cancelled" else "done"
            told = summary.decode(rest) if state == "cancelled" else None
            id = asked[uid]
            own = None if id == uid else id
            found[id] = attrs.evolve(_over(uid, state, told), id=own, has_result=True)
    return found
