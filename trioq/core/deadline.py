"""When it is too late for a job: pure, from what its record asks for and what time it is.

A deadline is for the whole job, an expiry for its starts. Both are epoch times, written by the
clock of whoever enqueues; what time it is, the clock of the engine says.
"""

from __future__ import annotations

from trioq.core.job import Options
from trioq.core.outcome import Failed, LateReason, Outcome, TooLate
from trioq.core.retry import Cancelled, RetryIn, Verdict
from trioq.core.values import value


def too_late(options: Options, now_ms: int) -> LateReason | None:
    """Why a handler may not be started for it at this time, not for another attempt either."""
    if options.deadline_ms is not None and now_ms >= options.deadline_ms:
        return "deadline"
    if options.expires_ms is not None and now_ms >= options.expires_ms:
        return "expired"
    return None


@value
class Limit:
    """How long a run may take."""

    timeout_s: float
    is_deadline: bool = False
    """Whether it is its job's deadline that ends it."""

    def judged(self, outcome: Outcome) -> Outcome:
        """How the run ended: one that its deadline has ended hasn't failed."""
        timed_out = isinstance(outcome, Failed) and outcome.error.kind == "timeout"
        return TooLate("deadline") if self.is_deadline and timed_out else outcome


def limit(timeout_s: float, options: Options, now_ms: int) -> Limit:
    """For a run that begins at this time: its timeout or its deadline, whichever comes first."""
    if options.deadline_ms is None:
        return Limit(timeout_s)
    left_s = max(0.0, (options.deadline_ms - now_ms) / 1000)
    return Limit(left_s, is_deadline=True) if left_s <= timeout_s else Limit(timeout_s)


def unless_late(verdict: Verdict, options: Options, now_ms: int) -> Verdict:
    """What becomes of a job: one that would be due when it is too late isn't tried again."""
    if isinstance(verdict, RetryIn):
        late = too_late(options, now_ms + verdict.delay_ms)
        if late is not None:
            return Cancelled(late)
    return verdict
