"""What each settlement verb does to a namespace: a function for each.

A function gets all claims that one step settles with its verb. The engine holds them no
longer; the function puts them where they belong now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from trioq.core.job import Uid
from trioq.core.model.state import Door, Hold, Kept, Namespace
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt, Settlement


@attrs.define
class Settling:
    """One step's settlements as they are carried out."""

    space: Namespace
    now_ms: int
    gave_suspects: bool = False
    """Whether suspects went back to their queues."""
    opened: set[tuple[str, str]] = attrs.field(factory=set[tuple[str, str]])
    """The doors that had nobody behind them before."""


def ack(settling: Settling, settled: Sequence[tuple[Ack, Hold]]) -> None:
    """Done: the record goes, a summary stays."""
    space = settling.space
    for settlement, _ in settled:
        space.end(settlement.uid, "done", settling.now_ms)
    space.stats["done"] += len(settled)
    summaries = tuple(s.summary for s, _ in reversed(settled) if s.summary)
    if summaries and space.keep_done:
        space.kept.appendleft(Kept(space.stats["done"], summaries))
        while space.stats["done"] - space.kept[-1].done_by_then >= space.keep_done:
            space.kept.pop()


def retry(settling: Settling, settled: Sequence[tuple[RetryAt, Hold]]) -> None:
    """Scheduled again."""
    for settlement, hold in settled:
        life = settling.space.jobs[settlement.uid]
        life.attempts = settlement.attempts
        life.fail(settlement.line)
        due_ms = settling.now_ms + settlement.delay_ms
        settling.space.waits_in(hold.queue).scheduled.put(settlement.uid, due_ms)
    settling.space.stats["retried"] += len(settled)


def dead(settling: Settling, settled: Sequence[tuple[DeadLetter, Hold]]) -> None:
    """It won't run again by itself."""
    for settlement, _ in settled:
        settling.space.jobs[settlement.uid].attempts = settlement.attempts
        settling.space.die(settlement.uid, settlement.reason, settlement.line, settling.now_ms)


def release(settling: Settling, settled: Sequence[tuple[Release, Hold]]) -> None:
    """Back to where it was claimed from."""
    back = [(settlement.uid, hold) for settlement, hold in settled]
    give_back(settling.space, back, as_suspects=False)
    settling.gave_suspects |= any(hold.suspect for _, hold in back)
    settling.space.stats["released"] += len(back)


def park(settling: Settling, settled: Sequence[tuple[Park, Hold]]) -> None:
    """Behind a door. Who comes to a door with nobody behind it has waited since now."""
    for settlement, _ in settled:
        named = settlement.queue, settlement.name
        doors = settling.space.waits_in(settlement.queue).parked
        if settlement.name not in doors:
            doors[settlement.name] = Door(settling.now_ms)
            settling.opened.add(named)
        doors[settlement.name].jobs.append(settlement.uid)
        doors[settlement.name].noted += named in settling.opened
    settling.space.stats["parked"] += len(settled)


SETTLE: Mapping[type[Settlement], Callable[[Settling, Sequence[tuple[Any, Hold]]], None]] = {
    Ack: ack,
    RetryAt: retry,
    DeadLetter: dead,
    Release: release,
    Park: park,
}


def give_back(space: Namespace, jobs: list[tuple[Uid, Hold]], *, as_suspects: bool) -> None:
    """To the heads of their queues, in the order in which they were claimed."""
    for uid, hold in sorted(jobs, key=lambda item: (item[1].step, item[1].i), reverse=True):
        queue = space.waits_in(hold.queue)
        (queue.suspects if as_suspects or hold.suspect else queue.ready).appendleft(uid)
