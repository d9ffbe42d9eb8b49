"""Schedules: where each stands, and what became of its last ticks."""

from __future__ import annotations

import attrs

from trioq.core.job import Uid
from trioq.core.model.agenda import Agenda
from trioq.core.schedules.tick import MARKS_MAX, Mark, Tick

#: So many of a schedule's last runs are remembered.
RUNS_MAX = 2


@attrs.define
class Schedules:
    """All of a namespace."""

    rows: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    """What each says of itself, which is for engines to read."""
    ticks: Agenda = attrs.field(factory=Agenda)
    """When each comes next."""
    runs: dict[str, tuple[Uid, ...]] = attrs.field(factory=dict[str, tuple[Uid, ...]])
    """The last runs of each, the newest first."""
    marks: dict[str, tuple[Mark, ...]] = attrs.field(factory=dict[str, tuple[Mark, ...]])
    """What became of the last ticks of each, the earliest first."""

    def stands_at(self, tick: Tick) -> bool:
        """Whether a schedule is still where it was seen, and says what it said."""
        is_there = tick.schedule in self.ticks and self.ticks.at(tick.schedule) == tick.seen_ms
        return is_there and self.rows.get(tick.schedule) == tick.row

    def move(self, tick: Tick, uid: Uid, is_known: bool) -> None:
        """On to the next tick.

        Args:
          uid: Of the job that came with it; empty: none.
          is_known: That job had been enqueued before.
        """
        name, marks = tick.schedule, tick.marks
        if is_known:
            marks = (*marks[:-1], attrs.evolve(marks[-1], outcome="known"))
        elif uid:
            self.runs[name] = (uid, *self.runs.get(name, ()))[:RUNS_MAX]
        self.marks[name] = (*self.marks.get(name, ()), *marks)[-MARKS_MAX:]
        if tick.next_ms is None:
            self.ticks.drop(name)
        else:
            self.ticks.put(name, tick.next_ms)

    def put(self, name: str, row: bytes, next_ms: int | None, now_ms: int) -> bool:
        """Note a schedule as it is from now on. A tick that has come stays. False: no change."""
        if self.rows.get(name) == row:
            return False
        self.rows[name] = row
        if name in self.ticks and self.ticks.at(name) <= now_ms:
            return True
        self.ticks.drop(name)
        if next_ms is not None:
            self.ticks.put(name, next_ms)
        return True

    def remove(self, name: str) -> bool:
        """Forget a schedule. False: there was none."""
        if self.rows.pop(name, None) is None:
            return False
        self.ticks.drop(name)
        self.runs.pop(name, None)
        self.marks.pop(name, None)
        return True
