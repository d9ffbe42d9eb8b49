"""Runs one handler and says how it ended. Nothing that a handler does comes out of here."""

from __future__ import annotations

from typing import Any, Protocol

import trio

from trioq.core.job import Job
from trioq.core.outcome import Error, Failed, Outcome, Snoozed, Succeeded
from trioq.core.retry import Retry
from trioq.engine.handlers.binding import BadPayload
from trioq.engine.handlers.command import CommandFailed
from trioq.engine.handlers.describe import describe, leaves_of
from trioq.engine.handlers.function import LeaseLoss
from trioq.errors import GiveUp, RetryLater, Snooze


class Handler(Protocol):
    """What runs the jobs of one name."""

    @property
    def name(self) -> str: ...
    @property
    def queue(self) -> str | None: ...
    @property
    def timeout_s(self) -> float | None: ...
    @property
    def retry(self) -> Retry | None: ...
    @property
    def on_lease_loss(self) -> LeaseLoss: ...

    async def run(self, job: Job, threads: trio.CapacityLimiter) -> Any:
        """Run it; raises whatever it raises."""


# A real Ctrl-C is the engine's to handle: without the protection it could be raised inside of
# a handler, and would be taken for the handler's own.
@trio.lowlevel.enable_ki_protection
async def invoke(
    handler: Handler, job: Job, *, timeout_s: float, threads: trio.CapacityLimiter
) -> Outcome:
    """Run a handler for a job.

    Args:
      timeout_s: The handler is cancelled after this; what ignores that and returns all the
          same has still done its work, and counts as such.
      threads: The limit of ``def`` handlers.

    Cancellation: the handler is cancelled, and :exc:`trio.Cancelled` comes out.
    """
    scope = trio.CancelScope(deadline=trio.current_time() + timeout_s)
    try:
        # What is raised passes the scope first, so that a cancellation of ours is taken out of
        # a group; whatever cancellation is left is the engine's, and wins.
        with scope:
            return Succeeded(await handler.run(job, threads))
    except BaseException as error:
        if any(isinstance(leaf, trio.Cancelled) for leaf in leaves_of(error)):
            raise
        return _outcome(error)
    return Failed(Error("timeout", f"took longer than {timeout_s:g} s and was cancelled"))


def _outcome(error: BaseException) -> Outcome:
    leaves = list(leaves_of(error))
    match leaves[0] if len(leaves) == 1 else None:
        case BadPayload() as bad:
            return Failed(Error("BadPayload", str(bad)[:1000]), permanent="bad_payload")
        case CommandFailed() as failed:
            return Failed(failed.error, permanent=failed.permanent)
        case RetryLater() as later:
            return Failed(describe(later), delay_s=later.delay_s)
        case Snooze() as snooze:
            return Snoozed(snooze.delay_s)
        case GiveUp() as gave_up:
            return Failed(describe(gave_up), permanent="gave_up")
    return Failed(describe(error))
