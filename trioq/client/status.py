"""Where a job is, for whoever has its handle."""

from __future__ import annotations

import attrs

from trioq.core.formats import history
from trioq.core.job import Uid
from trioq.store.inspect.views import JobView


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
    )
