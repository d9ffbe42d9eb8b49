"""What becomes of a job with a caller's id when another one comes with it.

A job that waits is replaced where it lies. One that runs, or is dead, can lose its id to the new
job; if it runs, that waits for its end, by the machinery of limits, and whatever would put it back
cancels it: an older payload never runs after a newer one.
"""

from __future__ import annotations

from typing import cast

from trioq.core.calls import NewJob, Replaced, Replacing, Taking, Unwanted
from trioq.core.job import Uid
from trioq.core.limits import is_own, take_of_id
from trioq.core.model.boots import bell_of
from trioq.core.model.keeping import renewed
from trioq.core.model.lives import Life
from trioq.core.model.once import once
from trioq.core.model.state import Ended, Namespace


def replace(
    space: Namespace, sender: str, number: int, replacing: Replacing, *, now_ms: int
) -> Replaced:
    """A job that waits gets another payload, with all its attempts, and, if it isn't due yet,
    another time."""
    return cast(Replaced, once(space, sender, number, lambda: _replaced(space, replacing, now_ms)))


def _replaced(space: Namespace, replacing: Replacing, now_ms: int) -> Replaced:
    job, uid = replacing.job, replacing.job.uid
    life = space.jobs.get(uid)
    if life is None or job.id is None or space.ids.get(job.id) != uid:
        return Replaced("moved")
    if uid in space.dead:
        return Replaced("dead")
    for name, boot in space.boots.items():
        if uid in boot.held:
            return Replaced("running", name, boot.held[uid].step)
    scheduled = space.queue(job.queue).scheduled
    kept = renewed(life.kept, job.keep, now_ms)
    if uid in scheduled:
        due_ms = max(now_ms, job.due_ms(now_ms))
        scheduled.put(uid, due_ms if kept.latest_ms is None else min(due_ms, kept.latest_ms))
        life.fair, life.tag = job.fair, None
        space.ring(job.queue)
    elif life.fair != job.fair:
        return Replaced("differs")
    after = _runs_before(space, job.id, life) if replacing.supersedes else None
    life.stored, life.big, life.kept = job.stored, job.big, kept
    life.attempts = life.reaps = 0
    own = filter(is_own, life.takes)
    life.takes = tuple(dict.fromkeys((*job.takes, *own)))
    _leave_room(space, job.queue, uid, life)
    return Replaced("replaced", after=after)


def _runs_before(space: Namespace, id: str, life: Life) -> Uid | None:
    """Which run has what this one waits for as its next."""
    take, took = take_of_id(id), space.flow.took
    if take not in life.takes:
        return None
    return next((uid for uid, takes in took.items() if take in takes), None)


def _leave_room(space: Namespace, queue: str, uid: str, life: Life) -> None:
    """Who waits for what it doesn't take any more is first in its queue."""
    room = next((r for r, uids in space.flow.rooms.items() if r[0] == queue and uid in uids), None)
    if room is not None and room[1] not in life.takes:
        space.flow.leave(room, uid)
        space.put_back(queue, uid)
        space.ring(queue)


def may_take(space: Namespace, job: NewJob, taking: Taking) -> bool:
    """Whether the job from which this one is to take the id is as it was seen."""
    uid = taking.uid
    if job.id is None:
        return False
    if taking.how == "dead" and space.ids.get(job.id) == Ended(uid, "dead"):
        return True
    if space.ids.get(job.id) != uid or uid not in space.jobs:
        return False
    if taking.how == "dead":
        return uid in space.dead
    boot = space.boots.get(taking.boot)
    hold = boot.held.get(uid) if boot else None
    return hold is not None and hold.step == taking.step


def take_id(space: Namespace, job: NewJob, taking: Taking) -> tuple[str, ...]:
    """The other one loses its id, and gets it back should it wait again while no live job has
    that. Returns what this one takes besides."""
    assert job.id is not None
    uid, other = taking.uid, space.jobs.get(taking.uid)
    if other is None:  # dead and gone: only its id was remembered
        return ()
    other.lost_id = True
    if taking.how == "dead":
        return ()
    flow, boot, own = space.flow, space.boots[taking.boot], take_of_id(job.id)
    if own not in other.takes:
        other.takes += (own,)
    if own not in flow.took.get(uid, ()):
        flow.took[uid] = (*flow.took.get(uid, ()), own)
        flow.slots[own] += 1
    unwanted = Unwanted(uid, job.queue, job.name, taking.summary, taking.keep_ms)
    boot.ask_for(unwanted, quietly=taking.how == "again")
    if taking.how == "supersede":
        space.ring(bell_of(taking.boot))
    return (own,)
