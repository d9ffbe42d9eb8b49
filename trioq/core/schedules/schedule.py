"""A schedule, and the one move that it makes next: pure, from where it was seen and the time."""

from __future__ import annotations

from typing import Literal

import attrs

from trioq.core.job import Uid
from trioq.core.schedules.due import Misfire, due, jitter_of
from trioq.core.schedules.tick import MARKS_MAX, Mark, Outcome, Tick
from trioq.core.schedules.when import When

Overlap = Literal["allow", "skip", "queue_one", "replace"]
"""What becomes of a tick whose earlier run hasn't ended: its job comes all the same; it doesn't;
it comes, and waits for the end of the one before it, one at most; it comes, and the one before it
is cancelled."""

Owner = Literal["config", "app", "runtime"]
"""Who says that there is a schedule: engines by their configuration or their app, or a client."""

#: So many of its runs may not have ended for another to come.
ALIVE_MAX: dict[Overlap, int | None] = {"allow": None, "skip": 0, "queue_one": 1, "replace": None}


@attrs.frozen
class Schedule:
    """A rule that makes jobs."""

    name: str
    when: When
    job: str
    queue: str
    payload: bytes = b"{}"
    """A JSON object."""
    misfire: Misfire = "last"
    grace_ms: int = 60_000
    """A tick that is found so late at most isn't missed."""
    overlap: Overlap = "skip"
    jitter_ms: int = 0
    """How much later than its tick a job may be due, at random, but the same everywhere."""
    owner: Owner = "runtime"

    @property
    def is_serial(self) -> bool:
        """Whether its runs wait for one another."""
        return self.overlap in ("queue_one", "replace")

    def id_of(self, tick_ms: int) -> str:
        """The caller's id of the job that a tick brings: so it brings one at most, whatever is put
        back in time."""
        return f"schedule:{self.name}:{tick_ms}"

    def delay_ms(self, tick_ms: int) -> int:
        """How much later than its tick its job is due."""
        return jitter_of(self.name, tick_ms, self.jitter_ms)

    def move(self, seen_ms: int, now_ms: int, *, is_paused: bool = False) -> Move | None:
        """From the tick that was seen to be next; None: it hasn't come.

        Of several that are to fire the earliest does, and the next move begins behind it.
        """
        found = due(self.when, seen_ms, now_ms, self.misfire, self.grace_ms)
        if found is None:
            return None
        came = sorted((*found.fires, *found.misfired))
        fires = None if is_paused or not found.fires else found.fires[0]
        why: Outcome = "paused" if is_paused else "missed"
        passed = [tick for tick in came if fires is None or tick < fires]
        marks = tuple(Mark(tick, why, now_ms - tick) for tick in passed)
        behind = [tick for tick in came if fires is not None and tick > fires]
        next_ms = behind[0] if behind else found.next
        return Move(self, seen_ms, now_ms, fires, marks, found.more, next_ms)


@attrs.frozen
class Move:
    """From one tick to another."""

    schedule: Schedule
    seen_ms: int
    now_ms: int
    fires: int | None
    """The tick that brings a job; None: none does."""
    passed: tuple[Mark, ...]
    """Those before it that don't, the earliest first."""
    more: int
    """So many still earlier ones don't either."""
    next_ms: int | None
    """Where it leads; None: nowhere."""

    def tick(self, row: bytes, uid: Uid = "") -> Tick:
        """What is asked of the server.

        Args:
          row: What the schedule was read from.
          uid: Of the job, if one fires.
        """
        marks = self.passed
        if self.fires is not None:
            marks += (Mark(self.fires, "fired", self.now_ms - self.fires, uid),)
        return self._made(row, marks, ALIVE_MAX[self.schedule.overlap])

    def passed_over(self, row: bytes, alive: Uid) -> Tick:
        """Instead, where an earlier run hasn't ended."""
        assert self.fires is not None
        mark = Mark(self.fires, "overlap", self.now_ms - self.fires, alive)
        return self._made(row, (*self.passed, mark), None)

    def left_out(self, tick: Tick) -> int:
        """How many of those that bring no job are too many to be told of one by one."""
        return self.more + len(self.passed) + (self.fires is not None) - len(tick.marks)

    def _made(self, row: bytes, marks: tuple[Mark, ...], alive_max: int | None) -> Tick:
        name = self.schedule.name
        return Tick(name, row, self.seen_ms, self.next_ms, marks[-MARKS_MAX:], alive_max)
