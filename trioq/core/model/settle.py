"""What each settlement verb does to a namespace: a function for each.

A function gets all claims that one step settles with its verb. The engine holds them no
longer; the function puts them where they belong now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from trioq.core.calls import End, Unwanted
from trioq.core.job import Uid
from trioq.core.model.boots import Hold
from trioq.core.model.state import Namespace
from trioq.core.settlements import (
    Ack,
    Cancel,
    DeadLetter,
    Deliver,
    Park,
    Release,
    RetryAt,
    Settlement,
)

#: Results whose time is over that one step forgets, beside two for each that it writes.
SWEEP_MIN = 100


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
    for settlement, _ in settled:
        settling.space.end(settlement.uid, "done", settling.now_ms)
    settling.space.keep_summaries([settlement.summary for settlement, _ in settled])
    settling.space.stats["done"] += len(settled)


def deliver(settling: Settling, settled: Sequence[tuple[Deliver, Hold]]) -> None:
    """The same, and what it returned is kept. On the way, some that is over is forgotten."""
    space, now_ms = settling.space, settling.now_ms
    if settled:
        space.forget_results(SWEEP_MIN + 2 * len(settled), now_ms)
    for settlement, _ in settled:
        end = End(settlement.word, settlement.value)
        space.end(settlement.uid, "done", now_ms, end, keep_ms=settlement.keep_ms)
    space.keep_summaries([settlement.summary for settlement, _ in settled])
    space.stats["done"] += len(settled)


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
    """Back to where it was claimed from; and a limit of it may rest."""
    flow, now_us = settling.space.flow, settling.now_ms * 1000
    rests = [(s.rests, now_us + s.rest_ms * 1000) for s, _ in settled if s.rests]
    for told, _ in settled:
        if told.takes:
            settling.space.jobs[told.uid].takes = told.takes
    if rests:
        for take, until_us in rests:
            flow.rest(take, until_us)
        flow.sweep(len(rests), now_us)
    back = [(settlement.uid, hold) for settlement, hold in settled]
    give_back(settling.space, back, as_suspects=False)
    settling.gave_suspects |= any(hold.suspect for _, hold in back)
    settling.space.stats["released"] += len(back)


def park(settling: Settling, settled: Sequence[tuple[Park, Hold]]) -> None:
    """Behind a door. Who comes to a door with nobody behind it has waited since now."""
    for settlement, _ in settled:
        named = settlement.queue, settlement.name
        queue = settling.space.waits_in(settlement.queue)
        if settlement.name not in queue.parked:
            settling.opened.add(named)
        door = queue.door(settlement.name, settling.now_ms)
        door.jobs.append(settlement.uid)
        door.noted += named in settling.opened
    settling.space.stats["parked"] += len(settled)


def cancel(settling: Settling, settled: Sequence[tuple[Cancel, Hold]]) -> None:
    """Over: somebody doesn't want it any more."""
    jobs = [Unwanted(s.uid, hold.queue, "", s.summary, s.keep_ms) for s, hold in settled]
    settling.space.cancel(jobs, settling.now_ms)


SETTLE: Mapping[type[Settlement], Callable[[Settling, Sequence[tuple[Any, Hold]]], None]] = {
    Ack: ack,
    Deliver: deliver,
    RetryAt: retry,
    DeadLetter: dead,
    Release: release,
    Park: park,
    Cancel: cancel,
}


def give_back(space: Namespace, jobs: list[tuple[Uid, Hold]], *, as_suspects: bool) -> None:
    """To the heads of their queues, in the order in which they were claimed."""
    for uid, hold in sorted(jobs, key=lambda item: (item[1].step, item[1].i), reverse=True):
        if as_suspects or hold.suspect:
            space.waits_in(hold.queue).suspects.appendleft(uid)
        else:
            space.put_back(hold.queue, uid)
