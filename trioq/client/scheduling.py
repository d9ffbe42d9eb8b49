"""What programs say of schedules at run time: checked before anything is sent."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from trioq.client.jobs import Drafts
from trioq.client.resend import Question
from trioq.core.call import Call
from trioq.core.config.rules import did_you_mean
from trioq.core.config.schedules import Seconds, said, schedule_of
from trioq.core.config.texts import NAME
from trioq.core.formats import schedule as rows
from trioq.core.schedules.due import Misfire
from trioq.core.schedules.schedule import Overlap, Schedule

if TYPE_CHECKING:
    from trioq.store.inspect import ScheduleView


@attrs.frozen(kw_only=True)
class Times:
    """When a schedule comes and what becomes of its ticks; see :meth:`trioq.App.schedule`."""

    cron: str | None = None
    every: Seconds | None = None
    at: datetime.datetime | str | None = None
    tz: str | None = None
    anchor: datetime.datetime | str | None = None
    misfire: Misfire = "last"
    misfire_grace: Seconds = 60.0
    overlap: Overlap = "skip"
    jitter: Seconds = 0.0


def drafted(
    drafts: Drafts,
    name: str,
    what: Call | str,
    payload: Mapping[str, Any] | None,
    *,
    queue: str | None,
    times: Mapping[str, Any],
) -> Schedule:
    """A schedule of a client's.

    Raises:
      ValueError, TypeError: What is said can't be.
      PayloadRejected, QueueUnknown: Its jobs couldn't be enqueued.
    """
    if unknown := times.keys() - {field.name for field in attrs.fields(Times)}:
        (first, *_) = sorted(unknown)
        close = did_you_mean(first, [field.name for field in attrs.fields(Times)])
        raise TypeError(f"schedules.put has no argument {first!r}{close}")
    if isinstance(what, Call) and what.options:
        names = ", ".join(what.options)
        raise TypeError(f"schedules.put: the jobs of a schedule can't have options: {names}")
    call = drafts.call(what, payload, queue)
    job, queue = drafts.place(call, queue)
    made = said(name=name, job=job, queue=queue, payload=call.payload, **times)
    return schedule_of(made, queue, "runtime", drafts.config.max_payload_bytes)


def row_of(made: Schedule, now_ms: int) -> tuple[bytes, int]:
    """What it says of itself, and its first tick.

    Raises:
      ValueError: There won't be any.
    """
    if (first := made.when.after(now_ms)) is None:
        raise ValueError(f"the schedule {made.name!r}: its time is over by the server's clock")
    return rows.encode(made), first


def listed(name: str, there: ScheduleView | None, do: str) -> ValueError:
    """Why it wasn't done: clients leave alone what engines list."""
    is_config = there is not None and there.owner == "config"
    where = "the configuration" if is_config else "the app"
    return ValueError(
        f"the schedule {name!r} is one of {where}'s: change it there; it can be paused here, but"
        f" not {do}"
    )


def checked(name: str) -> str:
    """A schedule's name.

    Raises:
      ValueError: It can't be one.
    """
    for _, message in NAME.problems(name, name):
        raise ValueError(f"a schedule's name: {message}")
    return name


def known(name: str) -> Question[ScheduleView | None]:
    """Asks for a schedule; None: there is none."""
    name = checked(name)
    return lambda store: next(iter(store.schedule_views([name])), None)


def must_be(there: ScheduleView | None, name: str) -> ScheduleView:
    """A schedule that there is.

    Raises:
      ValueError: There is none.
    """
    if there is None:
        raise ValueError(f"there is no schedule {name!r}")
    return there


def call_of(there: ScheduleView) -> tuple[str, dict[str, Any], str]:
    """What a tick of it would enqueue: job, payload, queue.

    Raises:
      ValueError: It can't be read here.
    """
    its = there.schedule
    if its is None:
        raise ValueError(f"the schedule {there.name!r} {there.wrong}")
    return its.job, rows.payload_of(its), its.queue
