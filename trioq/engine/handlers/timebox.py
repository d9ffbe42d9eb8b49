"""A cancel scope with a deadline, for one run after the other.

Opening a scope and closing it costs as much as all else that a tiny job needs. So one that
nothing has happened to stays open for the next run, and gets a new deadline; meanwhile it has
none. What was cancelled, raised, or left something open is closed with its run, so that no run is
affected by another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import attrgetter
from types import TracebackType

import trio

#: What stands for the scope that a task is in: None if that can't be told. trio has no public name.
innermost: Callable[[trio.lowlevel.Task], object] = (
    attrgetter("_cancel_status")
    if hasattr(trio.lowlevel.Task, "_cancel_status")
    else lambda task: None
)

#: A deadline may be this much later than asked for, or by this part of the time that a run has:
#: moving it isn't free either.
SLACK_S = 0.002
SLACK = 1 / 1000


class Timebox:
    """One task's. ``with box.of(timeout_s)`` around each run; let it rest before waiting.

    Whoever waited without that would be cancelled by the last run's deadline.
    """

    def __init__(self) -> None:
        self.expired = False
        """Whether the last run's deadline came before its end."""
        self.caught = False
        """Whether that ended it."""
        self.task = trio.lowlevel.current_task()
        self.clock = trio.lowlevel.current_clock().current_time
        self.deadline = math.inf
        """Of the last run, by trio's clock."""
        self._scope: trio.CancelScope | None = None
        self.innermost: object = None
        """The scope that a run is in which has closed all that it opened."""

    def of(self, timeout_s: float | None, since: float | None = None) -> Timebox:
        """For a run that may take this long; None: any time.

        Args:
          since: When it began, by trio's clock; None: now.
        """
        wanted = latest = math.inf
        if timeout_s is not None:
            wanted = timeout_s + (self.clock() if since is None else since)
            latest = wanted + max(SLACK_S, timeout_s * SLACK)
        if self._scope is None:
            self._scope = trio.CancelScope(deadline=wanted)
            self._scope.__enter__()
            self.deadline, self.innermost = wanted, innermost(self.task)
        elif not wanted <= self.deadline <= latest:
            self._scope.deadline = self.deadline = latest
        self.expired = self.caught = False
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None and self.is_fine(self.clock()):
            return False
        scope, self._scope = self._scope, None
        assert scope is not None
        try:
            return scope.__exit__(kind, error, traceback)
        finally:
            self.expired, self.caught = scope.cancel_called, scope.cancelled_caught

    def rest(self) -> None:
        """There is nothing to run for now."""
        if self.deadline < math.inf and self._scope is not None:
            self._scope.deadline = self.deadline = math.inf

    def close(self) -> None:
        """Nothing more is run."""
        if self._scope is not None:
            scope, self._scope = self._scope, None
            scope.__exit__(None, None, None)

    def is_fine(self, now: float) -> bool:
        """Whether the run, which ends now, was in time, and has left nothing open."""
        return now < self.deadline and self.is_as_it_was

    @property
    def is_as_it_was(self) -> bool:
        """Whether the run has closed all scopes that it opened. If that can't be told, no."""
        return self.innermost is not None and innermost(self.task) is self.innermost
