"""When an engine makes its next step, and whether that waits at the server for a bell.

    there is room for a job and something may be claimable,
    or something has ended; the workers are short of jobs ──────────▶ now
    the same, but they have enough in the backlog ──────────────────▶ within linger_s
    a scheduled job is due, also where there is no room for it ─────▶ now
    the boot may be lost ───────────────────────────────────────────▶ now
    nothing to claim and nothing to settle, there is room for a job ▶ when a bell rings
    no room for a job, and nothing begins or ends at the moment ────▶ when the boot's own bell rings
    no room for a job ──────────────────────────────────────────────▶ after POLL_S

While a step waits for a bell there is no other. So its wait ends at once when something may be
claimable that no bell tells of, or when the last job has ended; and within LINGER_S where others
still run: they may end too by then, or a bell ring. Where there was no room for a job, an end makes
some, and is in as much of a hurry as if no step waited.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs

#: An idle engine looks for work this often even if no bell rings: a bell is a hint.
POLL_S = 1.0

#: Outcomes wait this long for company while others run. While the workers have enough to do they
#: wait until about so many have ended, where that takes longer; but never longer than that.
LINGER_S = 0.003
COMPANY = 128
LINGER_MAX_S = 0.010

#: A job that is due sooner than this isn't waited for at a bell: that wait couldn't be timed.
NEAR_S = 0.004

#: Without room, the wait would have to be ended for each job that ends. So it begins only when
#: nothing has begun or ended for so long; and while something ends as often as that, when nothing
#: has for twice as long as usual: until then, steps are made that hear what the bell says.
QUIET_S = 0.010
OFTEN_S = 0.025

#: Where waits can't be ended, an engine that runs something looks this often.
LOOK_S = 0.05


def linger_s(gap_s: float) -> float:
    """How long outcomes wait for company while the workers have enough to do.

    A step is as dear as many a job. With jobs of a millisecond, one after the other, three would
    have to pay for it.

    Args:
      gap_s: From the end of one job to the next one's.
    """
    return min(LINGER_MAX_S, max(LINGER_S, COMPANY * gap_s))


@attrs.define
class Pace:
    """One boot's. Times are seconds of one monotonic clock."""

    last_step: float = -math.inf
    """When the last answer came."""
    due_at: float = math.inf
    """When the next scheduled job is due, as that answer says; infinity: nothing is scheduled."""
    _is_hungry: bool = True
    """Something may be claimable."""
    _is_urgent: bool = False
    _first_outcome: float = -math.inf
    """When the first of those ended that are in no step yet; without such, the first before."""
    _gap_s: float = math.inf
    """How long before that the one before it was."""
    _began: float = -math.inf
    """When something was claimed last."""

    def ask(self, *, urgently: bool = False) -> None:
        """Something may be claimable; urgently: a step is wanted even without room."""
        self._is_hungry = True
        self._is_urgent |= urgently

    def ended(self, now: float) -> None:
        """Something has ended, the first since the last step was made."""
        self._gap_s, self._first_outcome = now - self._first_outcome, now

    def claimed(self, now: float) -> None:
        """Something was claimed, and may begin."""
        self._began = now

    def made(self) -> None:
        """A step was made, with what was known by then."""
        self._is_hungry = self._is_urgent = False

    def answered(self, now: float) -> None:
        """The step was answered."""
        self.last_step = now

    def scheduled(self, now: float, next_due_ms: float | None) -> None:
        """The next scheduled job is due so many milliseconds from now; None: there is none."""
        self.due_at = math.inf if next_due_ms is None else now + next_due_ms / 1000

    def next(
        self,
        now: float,
        *,
        outcomes: int,
        linger_s: float,
        room: int,
        running: int,
        can_end: bool,
    ) -> Literal["step", "at bell"] | float:
        """What to do now: make a step, make one that waits for a bell, or look again when?

        Args:
          outcomes: How many have ended and are in no step yet.
          linger_s: How long outcomes may wait for company, and a claim for more room; 0 if what is
            claimed ahead doesn't last until the next answer.
          room: How many more jobs may be claimed.
          running: How many are claimed and have not ended.
          can_end: Whether a wait for a bell can be ended without ado.
        """  # fmt: skip
        # The poll is for what no bell tells: a token that got lost with whoever had taken it.
        poll = self.last_step + (POLL_S if can_end or not running else LOOK_S)
        if self._is_urgent or now >= poll:
            return "step"
        # Without room a step brings nothing, except that it makes due jobs ready, for other
        # engines too.
        if now >= self.due_at:
            return "step"
        look_again = min(poll, self.due_at)
        # What is claimed while there is enough to do would only lie behind that.
        since = self.last_step if self._is_hungry and room > 0 else math.inf
        if outcomes:
            since = min(since, self._first_outcome)
        if since < math.inf:
            return "step" if now >= since + linger_s else min(look_again, since + linger_s)
        if now + NEAR_S >= self.due_at or (running and not can_end):
            return look_again
        if room > 0:
            return "at bell"
        if not running:
            return look_again  # nobody can want anything of it
        quiet_s = max(QUIET_S, 2 * self._gap_s) if self._gap_s <= OFTEN_S else QUIET_S
        quiet = max(self._first_outcome, self._began) + quiet_s
        return "at bell" if now >= quiet else min(look_again, quiet)

    def may_linger(self, now: float, linger_s: float) -> bool:
        """Whether outcomes may still wait for company, where no step waits for a bell."""
        # Not for long, since the enqueuer waits for the end.
        return now < self._first_outcome + linger_s

    def wait_ends(self, *, outcomes: int, linger_s: float, running: int) -> float:
        """When a step that waits for a bell has to be answered, before its time has come;
        infinity: there is no hurry.

        Args:
          linger_s: How long outcomes may wait for company.
        """
        if self._is_hungry:
            return -math.inf
        if not outcomes:
            return math.inf
        return self._first_outcome + linger_s if running else -math.inf

    def bell_s(self, now: float) -> float:
        """How long a step that is sent now may wait for a bell."""
        return max(0.0, min(POLL_S, self.due_at - now))
