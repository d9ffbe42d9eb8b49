"""Where a job is, for whoever has its handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from trioq.core.formats import history
from trioq.core.job import Uid

if TYPE_CHECKING:
    from trioq.store.inspect import JobView

#: How often whoever follows a job looks.
LOOK_S = 1.0


@attrs.frozen
class Status:
    """Where a job is, and what became of it so far, at one moment."""

    uid: Uid
    state: str
    """``scheduled``, ``ready``, ``parked``, ``running``, ``done``, ``dead``, ``cancelled``; or
    ``unknown``: there never was one, or it has ended and nothing is remembered."""
    failed: int = 0
    """How many attempts have failed."""
    engine: str = ""
    """Which engine runs it, or has run it to its end."""
    enqueued_ms: int | None = None
    """All times are epoch milliseconds."""
    due_ms: int | None = None
    """When a scheduled job is due."""
    ended_ms: int | None = None
    """When it was done, died, or was cancelled."""
    reason: str = ""
    """Why it is dead, or was cancelled."""
    by: str = ""
    """Who cancelled it."""
    attempt: int = 0
    """The number of the run that goes on, or of the last one; 0: there was none."""
    progress: float | None = None
    """How far that run is, from 0 to 1, as its handler says; None: it doesn't."""
    text: str = ""
    """What it says beside that, for people."""
    data: Any = None
    """For programs: anything that JSON holds."""
    said_ms: int | None = None
    """When it said so."""
    log: tuple[str, ...] = ()
    """The last lines of that run's log."""
    logged: int = 0
    """How many lines there ever were of it."""
    error: str = ""
    """What the last attempt that failed has failed of: type and message."""

    @property
    def has_ended(self) -> bool:
        """Whether it neither waits nor runs, as far as anybody knows."""
        return self.state in ("done", "dead", "cancelled", "unknown")


def status(uid: Uid, view: JobView | None) -> Status:
    """What is known of a job."""
    if view is None:
        return Status(uid, "unknown")
    about, ended = view.record or view.summary, view.summary
    return Status(
        view.uid,
        view.state,
        history.failures(view.attempts) if ended is None else max(0, ended.attempt - 1),
        view.engine or (ended.engine if ended else ""),
        about.enqueued_ms if about else None,
        view.due_ms,
        ended.at_ms if ended else view.died_ms,
        view.reason or "",
        ended.by if ended else "",
        error=_error(view),
        **_said(view),
    )


def _said(view: JobView) -> dict[str, Any]:
    """How far it is."""
    last = view.attempts[-1] if view.attempts else None
    attempt = last.number if isinstance(last, history.Attempt) else 0
    if view.summary is not None:
        attempt = view.summary.attempt
    elif view.state == "running":
        in_this_life = not isinstance(last, history.Attempt) or last.dead is None
        attempt = attempt + 1 if in_this_life else 1
    noted = view.noted
    if noted is None or (view.state == "running" and noted.attempt != attempt):
        return {"attempt": attempt}
    told: dict[str, Any] = {"attempt": noted.attempt, "log": noted.log, "logged": noted.logged}
    if (said := noted.progress) is not None:
        told |= {
            "progress": said.fraction, "text": said.text, "data": said.data, "said_ms": said.at_ms
        }  # fmt: skip
    return told


def _error(view: JobView) -> str:
    error = history.last_error(view.attempts)
    return "" if error is None else f"{error.type}: {error.message}"


@attrs.define
class News:
    """Tells which lines of a log are new to one who has seen the statuses before."""

    _attempt: int = 0
    _logged: int = 0

    def lines(self, status: Status) -> tuple[str, ...]:
        """Those of the next status."""
        if not status.logged:
            return ()  # none, or it was looked at between its run and what is kept of that
        if status.attempt != self._attempt or status.logged < self._logged:
            self._attempt, self._logged = status.attempt, 0
        new, self._logged = status.logged - self._logged, status.logged
        return status.log[-new:] if new else ()
