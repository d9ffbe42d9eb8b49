"""Runs what is enqueued in a world until there is nothing more to run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import attrs
import trio

from trioq.core.events import (
    EngineReaped,
    Event,
    JobCancelled,
    JobDied,
    JobFailed,
    JobSnoozed,
    JobSucceeded,
    ParkedExpired,
)
from trioq.testing import looking
from trioq.testing.engines import Running
from trioq.testing.moments import Until, seconds_until
from trioq.testing.standstill import LOOK_S, Standstill

if TYPE_CHECKING:
    from trioq.testing.world import World


#: So often the jobs of one handler run in a drain that has no other end.
MOST_RUNS = 5_000

#: What a run ends with.
ENDS = (JobSucceeded, JobFailed, JobDied, JobSnoozed)


class NeverEnds(AssertionError):
    """What is drained goes on and on: a job that snoozes for ever, say, or enqueues the next."""


@attrs.define
class Bound:
    """Counts one drain's runs."""

    _seen: int
    """So much of what was told has been counted."""
    _runs: Counter[str] = attrs.field(factory=Counter[str], init=False)

    def look(self, told: Sequence[tuple[float, Event]], time: datetime) -> None:
        """
        Args:
          time: What the world's clocks show.

        Raises:
          NeverEnds: A handler has run too often.
        """
        fresh, self._seen = told[self._seen :], len(told)
        self._runs.update(event.name for _, event in fresh if isinstance(event, ENDS))
        name, runs = max(self._runs.items(), key=lambda each: each[1], default=("", 0))
        if runs > MOST_RUNS:
            raise NeverEnds(
                f"{name!r} has run {runs} times, it is {time:%Y-%m-%d %H:%M} in the world, and"
                " there is still more to run: does it snooze or enqueue itself for ever, or does"
                " a job wait for a time that is years ahead (datetime.now() isn't the world's:"
                " tq.time), while schedules tick? tq.drain(until=…) ends when you say"
            )


@attrs.frozen
class Drained:
    """What a drain has run, by how it ended."""

    done: int = 0
    dead: int = 0
    cancelled: int = 0
    """While they ran."""
    snoozed: int = 0
    """So often jobs have asked to run later; they may be among the others, too."""
    retried: int = 0
    """So often an attempt has failed and there was another; likewise."""


async def drain(world: World, until: Until | None, *, scheduled: bool) -> Drained:
    """Run jobs until none is left, or until that.

    Args:
      scheduled: Whether jobs that are due later are waited for.
    """
    latest = world.now + seconds_until(until, world.time)
    said = until if callable(until) else None

    def is_over() -> bool:
        if said is not None and said():
            return True
        return not (_left(world, scheduled) or any(more() for more in world.unfinished))

    began = len(world.told)
    bound = Bound(began)
    standstill = Standstill(world.space, world.now + LOOK_S)
    own: list[Running] = []
    quiet = world.space.on_change(world.look)
    try:
        while not is_over() and world.now < latest:
            if not any(each.runs for each in world.running):
                own.append(await world.start())
                continue
            # While all that wait are due later nothing stands still.
            look_s = math.inf if world.is_at_rest else LOOK_S
            with trio.move_on_after(min(latest - world.now, look_s)):
                await world.looked()
            standstill.look(world.now)
            if until is None:
                bound.look(world.told, world.time)
    finally:
        quiet()
        for each in own:
            if until is not None or not is_over():
                each.engine.hurry()
            else:
                each.drain()
    for each in own:
        await each.ended.wait()
    counts = Counter(type(event) for _, event in world.told[began:])
    return Drained(
        counts[JobSucceeded],
        sum(_deaths(event) for _, event in world.told[began:]),
        counts[JobCancelled],
        counts[JobSnoozed],
        counts[JobFailed],
    )


def _left(world: World, scheduled: bool) -> int:
    """How many jobs are waited for."""
    alive = world.space.alive
    if scheduled or not alive:
        return alive
    states = Counter(each.state for each in looking.all_seen(world.space))
    return sum(states[state] for state in looking.LIVING if state != "scheduled")


def _deaths(event: Event) -> int:
    """How many jobs have died of it."""
    match event:
        case JobDied():
            return 1
        case EngineReaped(dead=uids):
            return len(uids)
        case ParkedExpired(jobs=many):
            return many
        case _:
            return 0
