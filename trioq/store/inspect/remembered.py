"""What is remembered of jobs that have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial

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
    own = {id for id, known in asked.items() if known is None}
    return remembered_of(states, own, lambda: done(store), partial(_kept, store))


def remembered_of(
    states: Mapping[str, tuple[str, Uid]],
    own: Set[str],
    done: Callable[[], Iterable[Summary]],
    kept: Callable[[Mapping[Uid, str]], Mapping[str, JobView]],
) -> dict[str, JobView]:
    """The same, from what there is.

    Args:
      states: As :func:`said` tells them.
      own: Those of which ``ids`` has nothing.
      done: The summaries that are kept, the newest first.
      kept: Those of these, uid → how it was asked for, whose end is kept for who waits.
    """
    # Of those that were purged there never was a summary.
    looked_for = {uid: id for id, (state, uid) in states.items() if state in ("", *SUMMED_UP)}
    found: dict[str, JobView] = {}
    for each in done() if looked_for else ():
        id = looked_for.get(each.uid) or (each.id if each.id in own else None)
        if id is not None and id not in found:
            found[id] = _over(each.uid, each.state, each)
    found |= kept({uid: id for uid, id in looked_for.items() if id not in found})
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
    time, values, dues = store.lane.pipeline(
        [
            ("TIME",),
            ("HMGET", keys.fixed("results"), *uids),
            ("ZMSCORE", keys.fixed("results_due"), *uids),
        ]
    )
    found, now_ms = {}, store.us_of(time) // 1000
    for uid, value, due in zip(uids, values, dues, strict=True):
        if value is not None and due is not None and float(due) > now_ms:
            word, _, rest = value.partition(b" ")
            found[asked[uid]] = kept_of(uid, asked[uid], kept.text(word), rest)
    return found


def kept_of(uid: Uid, id: str, word: str, value: bytes) -> JobView:
    """One whose end is kept.

    Args:
      id: How it was asked for.
      word, value: What is kept.
    """
    state = "cancelled" if word == "cancelled" else "done"
    told = summary.decode(value) if state == "cancelled" else None
    own = None if id == uid else id
    return attrs.evolve(_over(uid, state, told), id=own, has_result=True)
