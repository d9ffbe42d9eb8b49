"""What is done to schedules."""

from __future__ import annotations

from typing import Annotated, Any

import attrs

from trioq.core.config.rules import did_you_mean
from trioq.web.operations.operation import Acting, Operation
from trioq.web.operations.pauses import Lasts, Note
from trioq.web.problems import Problem
from trioq.web.who.roles import Role

Name = Annotated[str, "The name of the schedule."]


@attrs.frozen(kw_only=True)
class PauseSchedule:
    """A schedule, for how long and why."""

    schedule: Name
    note: Note = ""
    lasts_s: Lasts = None


@attrs.frozen(kw_only=True)
class OneSchedule:
    """A schedule."""

    schedule: Name


def _known(acting: Acting, name: str) -> str:
    if acting.client.schedules.get(name) is None:
        names = [view.name for view in acting.client.schedules.list()]
        hint = did_you_mean(name, names) if names else ": there are none"
        raise Problem(404, "No such schedule", f"there is no schedule {name[:100]!r}{hint}")
    return name


def _told(name: str, changed: bool, *, paused: bool) -> dict[str, Any]:
    done = f"{name} is {'paused' if paused else 'resumed'}" + ("" if changed else ", as it was")
    return {"schedule": name, "paused": paused, "changed": changed, "done": done}


def _pause(acting: Acting, what: PauseSchedule) -> dict[str, Any]:
    changed = acting.client.schedules.pause(
        _known(acting, what.schedule), lasts=what.lasts_s, note=what.note, by=acting.user.name
    )
    return _told(what.schedule, changed, paused=True)


def _resume(acting: Acting, what: OneSchedule) -> dict[str, Any]:
    changed = acting.client.schedules.resume(_known(acting, what.schedule))
    return _told(what.schedule, changed, paused=False)


def _run(acting: Acting, what: OneSchedule) -> dict[str, Any]:
    handle = acting.client.schedules.run(_known(acting, what.schedule))
    done = f"{handle.uid} is in {handle.queue}"
    return {"schedule": what.schedule, "uid": handle.uid, "queue": handle.queue, "done": done}


OPERATIONS = (
    Operation(
        name="schedules.pause",
        role=Role.operate,
        does="Have the ticks of a schedule bring no jobs; they are told as paused.",
        takes=PauseSchedule,
        run=_pause,
    ),
    Operation(
        name="schedules.resume",
        role=Role.operate,
        does="Have the ticks of a schedule bring jobs again.",
        takes=OneSchedule,
        run=_resume,
    ),
    Operation(
        name="schedules.run",
        role=Role.operate,
        does="Enqueue now what a tick of the schedule would; its ticks come as before.",
        takes=OneSchedule,
        run=_run,
    ),
)
