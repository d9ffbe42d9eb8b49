"""Runs one handler and says how it ended. Nothing that a handler does comes out of here."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from typing import Any, Protocol

import trio

from trioq.core.job import Job
from trioq.core.outcome import Error, Failed, Outcome, Snoozed, Starved, Succeeded
from trioq.core.retry import Retry
from trioq.core.valid import DELAY_S, shown
from trioq.core.wants import NothingLeft
from trioq.engine.handlers.binding import BadPayload
from trioq.engine.handlers.command import CommandFailed
from trioq.engine.handlers.describe import MESSAGE_BYTES, clip, describe, leaves_of
from trioq.engine.handlers.function import LeaseLoss
from trioq.engine.handlers.threads import NoThread, ThreadLeftBehind
from trioq.engine.handlers.timebox import Timebox
from trioq.errors import GiveUp, JobControl, RetryLater, Snooze, TrioqBug

#: How long a command's process group has between SIGTERM and SIGKILL.
KILL_AFTER_S = 5.0

#: A job that found no thread within its timeout comes back after this.
NO_THREAD_SNOOZE_S = 1.0


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

    def run(self, job: Job, threads: trio.CapacityLimiter, kill_after_s: float) -> Awaitable[Any]:
        """Run it; raises whatever it raises, at once or when awaited."""


# A real Ctrl-C is the engine's to handle: without the protection it could be raised inside of
# a handler, and would be taken for the handler's own.
@trio.lowlevel.enable_ki_protection
async def invoke(
    handler: Handler,
    job: Job,
    *,
    timeout_s: float | None,
    timebox: Timebox,
    threads: trio.CapacityLimiter,
    kill_after_s: float = KILL_AFTER_S,
) -> Outcome:
    """Run a handler for a job.

    Args:
      timeout_s: The handler is cancelled after this; None: never.
      timebox: The calling task's own; it may be left open.
      threads: Bounds how many ``def`` handlers run at a time.
      kill_after_s: How long a cancelled command has between SIGTERM and SIGKILL.

    Cancellation: the handler is cancelled. If it ends with anything but a result,
    :exc:`trio.Cancelled` comes out, whatever the handler made of it, since what it raised while
    it was being stopped must not cost the job an attempt.
    """
    try:
        with timebox.of(timeout_s):
            result = await handler.run(job, threads, kill_after_s)
    except BaseException as error:
        # The scope has taken its own Cancelled out of a group; what is left of cancellation
        # counts only if we are really being cancelled: a handler can raise one that it kept.
        if trio.current_effective_deadline() != -math.inf:
            return _timed_out(timeout_s, error) if timebox.expired else _outcome(error)
    else:
        if not timebox.expired:
            return Succeeded(result)
        return _timed_out(timeout_s, None, swallowed=not timebox.caught)
    await trio.lowlevel.checkpoint_if_cancelled()
    raise TrioqBug("a cancellation that isn't one")


def _timed_out(
    timeout_s: float | None, error: BaseException | None, *, swallowed: bool = False
) -> Outcome:
    """What becomes of a handler that was cancelled at its deadline, and of what it made of it."""
    if isinstance(error, NoThread):
        return Snoozed(NO_THREAD_SNOOZE_S)  # a limit never costs an attempt
    if isinstance(error, NothingLeft):
        return Starved(error.want)
    told, traceback = f"took longer than {timeout_s:g} s", ""
    if swallowed:
        told += " and swallowed its cancellation"
    elif isinstance(error, ThreadLeftBehind):
        told += "; its thread still runs"
    elif error is not None:
        leaves = leaves_of(error)
        if len(leaves) == 1 and isinstance(leaves[0], JobControl):
            return _outcome(error)  # it was asked to end, and ended with a wish
        raised = describe(error)
        told += f"; then, while it was cancelled, {raised.type}: {raised.message}"
        traceback = raised.traceback
    return Failed(Error("timeout", clip(told, MESSAGE_BYTES), traceback))


def _outcome(error: BaseException) -> Outcome:
    leaves = leaves_of(error)
    match leaves[0] if len(leaves) == 1 else None:
        case BadPayload() as bad:
            return Failed(
                Error("BadPayload", clip(str(bad), MESSAGE_BYTES)), permanent="bad_payload"
            )
        case NothingLeft() as nothing:
            return Starved(nothing.want)
        case CommandFailed() as failed:
            return Failed(failed.error, permanent=failed.permanent)
        case RetryLater() as later if later.delay_s is None or DELAY_S.allows(later.delay_s):
            return Failed(describe(later), delay_s=later.delay_s)
        case Snooze() as snooze if DELAY_S.allows(snooze.delay_s):
            return Snoozed(snooze.delay_s)
        case RetryLater() | Snooze() as asked:
            told = describe(asked)
            what = f"{told.type}: delay_s is {shown(asked.delay_s)}: expected {DELAY_S.words}"
            return Failed(Error("ValueError", clip(what, MESSAGE_BYTES), told.traceback))
        case GiveUp() as gave_up:
            return Failed(describe(gave_up), permanent="gave_up")
    return Failed(describe(error))
