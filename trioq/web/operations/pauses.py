"""Pausing and resuming: queues, names, and values of limits' keys."""

from __future__ import annotations

import json
from typing import Annotated, Any

import attrs

from trioq.core.config.rules import did_you_mean
from trioq.core.limits import take_of
from trioq.web.operations.fields import Key
from trioq.web.operations.operation import Acting, Operation
from trioq.web.problems import Problem
from trioq.web.who.roles import Role

Note = Annotated[str, "Why, for whoever wonders."]
Lasts = Annotated[float | None, "Seconds after which it ends by itself; null: when it is resumed."]
Queue = Annotated[str, "The name of the queue."]
Name = Annotated[str, "The name of the jobs."]
Limit = Annotated[str, "The name of a limit that has a key."]
Value = Annotated[Key, "The value of its key."]


@attrs.frozen(kw_only=True)
class PauseQueue:
    """A queue, for how long and why."""

    queue: Queue
    note: Note = ""
    lasts_s: Lasts = None


@attrs.frozen(kw_only=True)
class ResumeQueue:
    """A queue."""

    queue: Queue


@attrs.frozen(kw_only=True)
class PauseName:
    """The jobs of a name, for how long and why."""

    job: Name
    note: Note = ""
    lasts_s: Lasts = None


@attrs.frozen(kw_only=True)
class ResumeName:
    """The jobs of a name."""

    job: Name


@attrs.frozen(kw_only=True)
class PauseKey:
    """The jobs of a value of a limit's key, for how long and why."""

    limit: Limit
    key: Value
    note: Note = ""
    lasts_s: Lasts = None


@attrs.frozen(kw_only=True)
class ResumeKey:
    """The jobs of a value of a limit's key."""

    limit: Limit
    key: Value


def known_queue(acting: Acting, queue: str) -> str:
    """The name of a queue that there is.

    Raises:
      Problem: There is none (404), with what may have been meant.
    """
    known = acting.admin.queue_names()
    if queue not in known:
        hint = did_you_mean(queue, known) or f"; there are {', '.join(known[:20])}"
        raise Problem(404, "No such queue", f"there is no queue {queue[:64]!r}{hint}")
    return queue


def _told(what: dict[str, Any], name: str, changed: bool, *, paused: bool) -> dict[str, Any]:
    done = f"{name} is {'paused' if paused else 'not paused'}"
    done += "" if changed else ", as it was before"
    return {**what, "paused": paused, "changed": changed, "done": done}


def _pause_queue(acting: Acting, what: PauseQueue) -> dict[str, Any]:
    queue, by = known_queue(acting, what.queue), acting.user.name
    changed = acting.admin.pause(queue, note=what.note, lasts=what.lasts_s, by=by)
    return _told({"queue": queue}, queue, changed, paused=True)


def _resume_queue(acting: Acting, what: ResumeQueue) -> dict[str, Any]:
    changed = acting.admin.resume(queue := known_queue(acting, what.queue))
    return _told({"queue": queue}, queue, changed, paused=False)


def _pause_name(acting: Acting, what: PauseName) -> dict[str, Any]:
    changed = acting.admin.pause(
        job=what.job, note=what.note, lasts=what.lasts_s, by=acting.user.name
    )
    return _told({"job": what.job}, what.job, changed, paused=True)


def _resume_name(acting: Acting, what: ResumeName) -> dict[str, Any]:
    changed = acting.admin.resume(job=what.job)
    return _told({"job": what.job}, what.job, changed, paused=False)


def _shown(limit: str, key: Key) -> str:
    take_of(limit, key)  # refuses what can't be one
    return f"{limit} for {json.dumps(key, ensure_ascii=False)}"


def _pause_key(acting: Acting, what: PauseKey) -> dict[str, Any]:
    shown = _shown(what.limit, what.key)
    changed = acting.admin.pause(
        limit=what.limit, key=what.key, note=what.note, lasts=what.lasts_s, by=acting.user.name
    )
    return _told({"limit": what.limit, "key": what.key}, shown, changed, paused=True)


def _resume_key(acting: Acting, what: ResumeKey) -> dict[str, Any]:
    shown = _shown(what.limit, what.key)
    changed = acting.admin.resume(limit=what.limit, key=what.key)
    return _told({"limit": what.limit, "key": what.key}, shown, changed, paused=False)


OPERATIONS = (
    Operation(
        name="queues.pause",
        role=Role.operate,
        does="Stop claiming from a queue. What runs runs on.",
        takes=PauseQueue,
        run=_pause_queue,
    ),
    Operation(
        name="queues.resume",
        role=Role.operate,
        does="Claim from a queue again.",
        takes=ResumeQueue,
        run=_resume_queue,
    ),
    Operation(
        name="names.pause",
        role=Role.operate,
        does="Stop running the jobs of a name, in all queues. What runs runs on.",
        takes=PauseName,
        run=_pause_name,
    ),
    Operation(
        name="names.resume",
        role=Role.operate,
        does="Run the jobs of a name again.",
        takes=ResumeName,
        run=_resume_name,
    ),
    Operation(
        name="limits.pause",
        role=Role.operate,
        does="Stop running the jobs that have one value of a limit's key. What runs runs on.",
        takes=PauseKey,
        run=_pause_key,
    ),
    Operation(
        name="limits.resume",
        role=Role.operate,
        does="Run the jobs that have one value of a limit's key again.",
        takes=ResumeKey,
        run=_resume_key,
    ),
)
