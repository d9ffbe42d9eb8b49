"""How a run is told to end: what it has left then, and how plain code hears of it."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

import attrs
import trio

from trioq.core.current import job_here

#: What a run has that nobody has said more of.
GRACE_S = 5.0


class Grace(Protocol):
    """What a run has left when it is told to end."""

    @property
    def grace_s(self) -> float:
        """A process group has so long between SIGTERM and SIGKILL."""

    @property
    def given_up(self) -> trio.Event | None:
        """Set when its end isn't waited for any more, or has come. None: a thread is left alone at
        once."""


@attrs.frozen
class NoPatience:
    """That of a run of which the end is of no interest: it took too long, or the engine stops."""

    grace_s: float = GRACE_S
    given_up: trio.Event | None = None


def check_cancelled() -> None:
    """Raise :exc:`trio.Cancelled` where the job that runs here is to end, or in asyncio
    :exc:`asyncio.CancelledError`.

    That is so when somebody has cancelled it, when it has taken longer than its timeout, and when
    its engine stops; ``error.reason`` says why somebody did. It is for plain code that takes long:
    ``def`` handlers in threads and in processes, and functions that ``async def`` handlers call
    between two checkpoints. Let the exception through (``except Exception`` does): clean up in
    ``finally``, and the job ends as cancelled. In the loop it is raised where a checkpoint would
    raise it.

    Does nothing where no job runs, so what calls it may run in a test or a script; nor in a thread
    that a handler has started by itself.
    """
    if trio.lowlevel.in_trio_task():
        if trio.current_effective_deadline() == -math.inf:
            raise _cancelled()
        return
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:  # not one of trio's threads
        if job_here() is not None:
            _check_task()


def _check_task() -> None:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # nor one of asyncio's
        return
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _cancelled() -> trio.Cancelled:
    """What a checkpoint would raise here. trio has no public name for it that doesn't wait."""
    status = getattr(trio.lowlevel.current_task(), "_cancel_status", None)
    why = getattr(getattr(status, "_scope", None), "_cancel_reason", None)
    if why is None:
        return trio.Cancelled._create()
    return trio.Cancelled._create(source=why.source, reason=why.reason)
