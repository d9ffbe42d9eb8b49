"""Where a job runs: for whoever writes a log line, in whatever task or thread of it."""

from __future__ import annotations

from contextvars import ContextVar

import attrs


@attrs.frozen
class Place:
    """One worker of one boot of an engine."""

    boot: str
    worker: int
    """From 0."""


place: ContextVar[Place] = ContextVar("trioq_place")
"""Set in the task of each worker, so that all that is started for its jobs inherits it."""
