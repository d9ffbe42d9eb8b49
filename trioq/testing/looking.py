"""What is enqueued in a world, which of it is meant, and what comes nearest where nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from trioq.client.what import name_of
from trioq.core.call import Call
from trioq.core.convert import CONVERTER
from trioq.core.formats.payload import encode, loads
from trioq.errors import PayloadRejected
from trioq.handler import Handler
from trioq.testing.server import Space

if TYPE_CHECKING:
    from trioq.store.inspect.views import JobView

#: States of jobs that wait or run.
LIVING = ("ready", "limited", "scheduled", "parked", "running")

#: So many of those that come nearest are shown.
SHOWN = 3

#: A payload as it is shown is cut here.
SHOWN_CHARS = 200

What = Handler[..., Any, Any, Any] | Call[Any] | str
"""Whose jobs are meant: a handler's, by itself or its name; or those with a call's payload."""


@attrs.frozen(kw_only=True)
class Seen:
    """A job as it lies in a world."""

    name: str
    queue: str
    state: str
    """``ready``, ``scheduled``, ``running``, ``parked``, ``limited``, ``dead``, ``done`` or
    ``cancelled``."""
    payload: Any
    """None where the job has ended: that isn't kept."""
    due: datetime | None = None
    """When a scheduled job is due."""
    id: str | None = None
    """The caller's."""
    uid: str

    def __str__(self) -> str:
        fields = self.payload if isinstance(self.payload, dict) else {}
        shown = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        if len(shown) > SHOWN_CHARS:
            shown = f"{shown[:SHOWN_CHARS]}…"
        due = "" if self.due is None else f", due {self.due:%Y-%m-%d %H:%M:%S}"
        own = "" if self.id is None else f", id {self.id!r}"
        return f"{self.name}({shown}) in {self.queue!r}, {self.state}{due}{own}"


def name_meant(what: What) -> str:
    """The name of the handler whose jobs are meant."""
    return what.registered.name if isinstance(what, Handler) else name_of(what)


def all_seen(space: Space) -> list[Seen]:
    """All jobs, in the order in which they were made."""
    return [_seen(view, space) for view in space.store.jobs()]


def _seen(view: JobView, space: Space) -> Seen:
    about, payload = view.about, view.payload
    if payload is None and view.record is not None:  # it lies apart
        found = space.store.find(view.uid)
        payload = None if found is None else found.payload
    return Seen(
        name="" if about is None else about.name,
        queue="" if about is None else about.queue,
        state=view.state,
        payload=payload,
        due=None if view.due_ms is None else datetime.fromtimestamp(view.due_ms / 1000, UTC),
        id=view.callers_id,
        uid=view.uid,
    )


@attrs.frozen(kw_only=True)
class Wanted:
    """Which jobs are meant: those to which all of this applies."""

    name: str | None = None
    queue: str | None = None
    id: str | None = None
    state: str | None = None
    """None: any that a job has that waits or runs."""
    payload: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    """These fields with these values; there may be others."""

    @classmethod
    def of(
        cls,
        what: What | None,
        queue: str | None,
        id: str | None,
        state: str | None,
        payload: Mapping[str, Any],
    ) -> Wanted:
        fields = {**what.payload, **payload} if isinstance(what, Call) else payload
        return cls(
            name=None if what is None else name_meant(what),
            queue=queue,
            id=id,
            state=state,
            payload={name: _stored(value) for name, value in fields.items()},
        )

    def wrong(self, job: Seen) -> Iterator[str]:
        """What is otherwise, in words; nothing: it is meant."""
        if self.name is not None and job.name != self.name:
            yield f"it is a job of {job.name!r}, not of {self.name!r}"
        if self.state is None and job.state not in LIVING:
            yield f"it is {job.state}"
        for what in ("state", "queue", "id"):
            wanted, got = getattr(self, what), getattr(job, what)
            if wanted is not None and got != wanted:
                yield f"{what} is {got!r}, not {wanted!r}"
        fields = job.payload if isinstance(job.payload, dict) else {}
        for name, value in self.payload.items():
            if name not in fields:
                yield f"there is no {name}, which should be {value!r}"
            elif fields[name] != value:
                yield f"{name} is {fields[name]!r}, not {value!r}"

    def among(self, jobs: Iterable[Seen]) -> list[Seen]:
        """Those that are meant."""
        return [job for job in jobs if next(self.wrong(job), None) is None]

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.payload.items())
        said = [f"{self.name or 'any handler'}({fields})"]
        said += [
            f"{what} {value!r}"
            for what in ("queue", "id", "state")
            if (value := getattr(self, what)) is not None
        ]
        return ", ".join(said)


def not_as_wanted(wanted: Wanted, jobs: Sequence[Seen], count: int | None) -> str:
    """Why the jobs aren't as they should be, with those that come nearest; empty: they are.

    Args:
      count: How many are wanted; None: at least one.
    """
    found = wanted.among(jobs)
    if len(found) == count or (count is None and found):
        return ""
    wants = "" if count is None else f", and {count or 'none'} should be"
    lines = [f"{_counted(len(found))} enqueued{wants}: {wanted}", *(f"  {job}" for job in found)]
    if len(found) > (count or 0):
        return "\n".join(lines)
    others = [(list(wanted.wrong(job)), job) for job in jobs if job not in found]
    others.sort(key=lambda each: (_is_anothers(wanted, each[1]), len(each[0])))
    if not others:
        return "\n".join([*lines, "and there is no other job at all"])
    lines.append("the nearest:")
    for wrong, job in others[:SHOWN]:
        lines += [f"  {job}", *(f"    {each}" for each in wrong)]
    if len(others) > SHOWN:
        lines.append(f"  and {len(others) - SHOWN} more")
    return "\n".join(lines)


def _counted(many: int) -> str:
    return f"{many} jobs are" if many > 1 else f"{many or 'no'} job is"


def _is_anothers(wanted: Wanted, job: Seen) -> bool:
    return wanted.name is not None and job.name != wanted.name


def _stored(value: Any) -> Any:
    """A value as a payload gives it back; one that can't be in one, a matcher say, as it is."""
    try:
        return loads(encode({"value": CONVERTER.unstructure(value)}, 1 << 28))["value"]
    except PayloadRejected:
        return value
