"""Runs one handler and says how it ended. Nothing that a handler does comes out of here."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import trio

from trioq.core.blame import PLAIN_ERRORS, Errors
from trioq.core.flow import Limit
from trioq.core.job import Job
from trioq.core.outcome import Outcome, Succeeded
from trioq.core.retry import Retry
from trioq.core.shared import Shared
from trioq.engine.handlers.ending import carried, outcome_of, timed_out
from trioq.engine.handlers.function import LeaseLoss
from trioq.engine.handlers.grace import Grace, NoPatience
from trioq.engine.handlers.timebox import Timebox
from trioq.errors import TrioqBug

NO_PATIENCE = NoPatience()


class Runnable(Protocol):
    """What can be run for a job."""

    def run(self, job: Job, threads: trio.CapacityLimiter, grace: Grace) -> Awaitable[Any]:
        """Run it; raises whatever it raises, at once or when awaited."""


class Handler(Runnable, Protocol):
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
    @property
    def result_s(self) -> float | None: ...
    @property
    def errors(self) -> Errors: ...
    @property
    def limits(self) -> tuple[Limit, ...]: ...
    @property
    def id_from(self) -> tuple[str, ...]: ...
    @property
    def shared(self) -> Shared | None: ...


def invoke(
    handler: Runnable,
    job: Job,
    *,
    timeout_s: float | None,
    timebox: Timebox,
    threads: trio.CapacityLimiter,
    grace: Grace = NO_PATIENCE,
    since: float | None = None,
    errors: Errors = PLAIN_ERRORS,
) -> Awaitable[Outcome]:
    """Run a handler for a job.

    Args:
      timeout_s: The handler is cancelled after this; None: never.
      timebox: The calling task's own; it may be left open.
      threads: Bounds how many ``def`` handlers run at a time.
      grace: What it has left when it is cancelled.
      since: When it began, by trio's clock; None: it begins now.
      errors: What it says of those that it raises.

    Cancellation: the handler is cancelled. If it ends with anything but a result,
    :exc:`trio.Cancelled` comes out, whatever the handler made of it, since what it raised while
    it was being stopped must not cost the job an attempt.
    """
    return go_on(partial(handler.run, job, threads, grace), timeout_s, timebox, since, errors)


# A real Ctrl-C is the engine's to handle: without the protection it could be raised inside of
# a handler, and would be taken for the handler's own.
@trio.lowlevel.enable_ki_protection
async def go_on(
    rest: Callable[[], Awaitable[Any]],
    timeout_s: float | None,
    timebox: Timebox,
    since: float | None,
    errors: Errors = PLAIN_ERRORS,
) -> Outcome:
    """The same for what is left of a run that has begun.

    Args:
      rest: Gives what is to be awaited; raises what the handler raises, at once or then.
    """
    try:
        with timebox.of(timeout_s, since):
            try:
                result = await rest()
            except trio.Cancelled:
                raise
            except BaseException as error:
                raise carried(error) from None
    except BaseException as error:
        # The scope has taken its own Cancelled out of a group; what is left of cancellation
        # counts only if we are really being cancelled: a handler can raise one that it kept.
        if trio.current_effective_deadline() != -math.inf:
            if timebox.expired:
                return timed_out(timeout_s, error, errors=errors)
            return outcome_of(error, errors)
    else:
        if not timebox.expired:
            return Succeeded(result)
        return timed_out(timeout_s, None, swallowed=not timebox.caught, errors=errors)
    await trio.lowlevel.checkpoint_if_cancelled()
    raise TrioqBug("a cancellation that isn't one")
