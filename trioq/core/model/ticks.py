"""Schedules move on, each tick once, and are noted and forgotten."""

from __future__ import annotations

from copy import copy
from typing import cast

from trioq.core.calls import BootId, NewJob
from trioq.core.formats.pause import of_schedule
from trioq.core.model.clients import Enqueuing
from trioq.core.model.once import once
from trioq.core.model.state import Namespace
from trioq.core.schedules.listed import Heard, SaidList
from trioq.core.schedules.tick import Tick, Ticked
from trioq.errors import QueueFull


def tick(
    space: Namespace,
    sender: str,
    number: int,
    tick: Tick,
    job: NewJob | None,
    *,
    now_us: int,
    dropped: bytes = b"",
) -> Ticked:
    """A schedule moves on, and its job is enqueued: both, or neither.

    Raises:
      QueueFull: There is no room for the job; the schedule stays where it is.
    """

    def write() -> Ticked | QueueFull:
        if refusal := _refusal(space, tick):
            return refusal
        jobs = [] if job is None else [job]
        enqueued = Enqueuing(space, jobs, None, None, now_us, dropped).run()
        if isinstance(enqueued, QueueFull):
            return enqueued
        existing = enqueued.existing.get(0)
        space.schedules.move(tick, job.uid if job else "", existing is not None)
        return Ticked("known", existing.uid) if existing else Ticked("ok")

    answer = once(space, sender, number, write)
    if isinstance(answer, QueueFull):
        raise copy(answer)
    return cast(Ticked, answer)


def put_schedule(
    space: Namespace,
    sender: str,
    number: int,
    name: str,
    row: bytes,
    *,
    next_ms: int | None,
    now_ms: int,
) -> bool | None:
    """From now on a schedule is as this says. A tick that has come stays; False: no change; None: a
    deployment lists it, so nothing changed.

    Args:
      row: Empty: there is no such schedule any more.
    """

    def write() -> bool | None:
        if space.listing.is_listed(name):
            return None
        space.listing.forget(name)
        if not row:
            space.paused.pop(of_schedule(name), None)
            return space.schedules.remove(name)
        return space.schedules.put(name, row, next_ms, now_ms)

    return cast(bool | None, once(space, sender, number, write))


def list_schedules(space: Namespace, boot: BootId, said: SaidList, *, now_ms: int) -> Heard:
    """A boot says which schedules its configuration and its app list: first, and now and then."""
    if boot not in space.boots:
        return Heard("gone")
    return space.listing.hear(boot, said, space.boots, space.schedules, now_ms)


def _refusal(space: Namespace, tick: Tick) -> Ticked | None:
    """Why a schedule can't move on so; None: it can."""
    its = space.schedules
    if not its.stands_at(tick):
        return Ticked("moved")
    if tick.alive_max is not None:
        runs = its.runs.get(tick.schedule, ())
        alive = [uid for uid in runs if uid in space.jobs and uid not in space.dead]
        if len(alive) > tick.alive_max:
            return Ticked("alive", alive[0])
    return None
