"""What clients ask (:mod:`trioq.store.questions`), answered from the model.

The answers are those of :mod:`trioq.store.inspect`, and where it has decided what it says from
plain values, it says it here too. ``tests/store/contract/test_questions.py`` compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from trioq.core.formats import pause, summary
from trioq.core.formats.record import decode
from trioq.core.formats.summary import Summary
from trioq.core.job import Record, Uid
from trioq.core.model import Namespace
from trioq.core.model.lives import Life
from trioq.core.model.state import Ended
from trioq.store.inspect.remembered import kept_of, remembered_of
from trioq.store.inspect.schedules import ScheduleView, view_of
from trioq.store.inspect.views import JobView, of_summary
from trioq.store.inspect.views import view_of as job_view


def find(space: Namespace, id_or_uid: str, now_ms: int, *, with_big: bool = True) -> JobView | None:
    """A job by its caller's id or its uid, wherever it is; None: nobody knows it."""
    who = space.ids.get(id_or_uid)
    if not isinstance(who, Ended) and (life := space.jobs.get(uid := who or id_or_uid)):
        return _living(space, uid, life, with_big)
    state, uid = (who.state, who.uid) if isinstance(who, Ended) else ("", who or id_or_uid)

    def kept(asked: Mapping[Uid, str]) -> Mapping[str, JobView]:
        there = {uid: id for uid, id in asked.items() if uid in space.results}
        return {
            id: kept_of(uid, id, space.results[uid].state, space.results[uid].value)
            for uid, id in there.items()
            if space.results_due.at(uid) > now_ms
        }

    own = {id_or_uid} if who is None else set[str]()
    asked = {id_or_uid: (state, uid)}
    return remembered_of(asked, own, lambda: ended(space), kept).get(id_or_uid)


def look(space: Namespace, uid: Uid, id: str | None, now_ms: int) -> JobView | None:
    """The same without a payload that lies apart."""
    view = find(space, uid, now_ms, with_big=False)
    if view is None and id is not None:
        view = find(space, id, now_ms, with_big=False)
    return view if view is not None and view.uid == uid else None


def all_jobs(space: Namespace) -> list[JobView]:
    """All that are known, in the order in which they were made."""
    limited = {uid for room in space.flow.rooms.values() for uid in room}
    live = [_living(space, uid, life, False) for uid, life in space.jobs.items()]
    live = [attrs.evolve(view, state="limited") if view.uid in limited else view for view in live]
    return sorted([*live, *map(of_summary, ended(space))], key=lambda view: view.uid)


def record(space: Namespace, uid: Uid) -> Record | None:
    """A job that hasn't been forgotten, as it was enqueued; None: it has.

    Raises:
      RecordUnreadable: It isn't a job that this version can read.
    """
    life = space.jobs.get(uid)
    return None if life is None else decode(uid, life.stored).record


def schedule_views(
    space: Namespace, names: Sequence[str] | None, now_ms: int
) -> list[ScheduleView]:
    """These schedules that there are, or all, by name."""
    its = space.schedules
    wanted = its.rows if names is None else its.rows.keys() & set(names)
    return [view_of(name, its.rows[name], _told(space, name), now_ms) for name in sorted(wanted)]


def ended(space: Namespace) -> Iterable[Summary]:
    """What is kept of finished jobs, the newest first; what can't be read is left out."""
    for kept in space.done:
        yield from summary.decode_all(kept)


def _living(space: Namespace, uid: Uid, life: Life, with_big: bool) -> JobView:
    about = life.history, (life.reason or "").encode(), b"%d" % life.reaps, life.note
    view = job_view(uid, life.stored, "", about, (lambda: life.big) if with_big else None)
    return attrs.evolve(view, **_place(space, uid))


def _place(space: Namespace, uid: Uid) -> dict[str, Any]:
    """The state of a job, and what belongs to the state."""
    if uid in space.dead:
        return {"state": "dead", "died_ms": space.dead[uid]}
    for boot, known in space.boots.items():
        if uid in known.held:
            ask = known.asks.get(uid)
            said = summary.decode(ask.unwanted.summary) if ask and ask.nth > 0 else None
            return {"state": "running", "engine": boot, "asked": said}
    for queue in space.queues.values():
        if uid in queue.scheduled:
            return {"state": "scheduled", "due_ms": queue.scheduled.at(uid)}
        if any(uid in door.jobs for door in queue.parked.values()):
            return {"state": "parked"}
    return {"state": "ready"}


def _told(space: Namespace, name: str) -> Sequence[bytes | None]:
    """What is kept of a schedule beside what it says of itself."""
    its, app = space.schedules, space.listing.owners.get(name)
    unlisted = space.listing.unlisted.get(name)
    paused = space.paused.get(pause.of_schedule(name))
    return [
        " ".join(its.runs.get(name, ())).encode(),
        "\n".join(mark.stored for mark in its.marks.get(name, ())).encode(),
        None if app is None else app.encode(),
        None if unlisted is None else f"{unlisted.since_ms} {unlisted.retired_ms}".encode(),
        None if paused is None else paused.stored,
        b"%d" % its.ticks.at(name) if name in its.ticks else None,
    ]
