"""Both stores: what becomes of a claim, asked to end or not, is what the race table says."""

from __future__ import annotations

import pytest

from tests.store.drive import Driver, line
from tests.store.world import Make, World
from trioq.core.calls import Unwanted
from trioq.core.lifecycle import OF_RUNNING, Move, Rule, if_asked
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


def carry_out(move: Move, w: World, engine: Driver, uid: str) -> None:
    """This move, of the job that the engine has claimed with its first step."""
    settlements: dict[Move, Settlement] = {
        Move.ACK: Ack(uid, 1, b"{}"),
        Move.DELIVER: Deliver(uid, 1, 60_000, "done", b"1"),
        Move.RETRY: RetryAt(uid, 1, 60_000, 1, line("no")),
        Move.SNOOZE: RetryAt(uid, 1, 60_000, 0),
        Move.DEAD_LETTER: DeadLetter(uid, 1, 1, "failures", line("no")),
        Move.RELEASE: Release(uid, 1),
        Move.PARK: Park(uid, 1, "low", "noop"),
        Move.STOP: Cancel(uid, 1, b"{}"),
    }
    if move in settlements:
        engine.step(0, settlements[move])
    else:
        w.reap(engine, max_reaps=1 if move is Move.BLAME else 3)


def state(w: World, uid: str) -> str | None:
    """Where it is; its caller's id remembers how it ended."""
    left = w.dump()
    if uid in left.dead:
        return "dead"
    if uid in left.jobs:
        return "scheduled" if uid in w.queue("low").scheduled else "ready"
    return left.ids["mine"].split(":")[0]


@pytest.mark.parametrize("asked", [False, True], ids=["", "asked"])
@pytest.mark.parametrize("rule", OF_RUNNING, ids=lambda rule: rule.move.value)
def test_a_running_job_comes_where_the_table_says(world: Make, rule: Rule, asked: bool) -> None:
    w = world()
    uid = w.sender.enqueue_new(id="mine")
    engine = w.engine()
    engine.step(1)
    if asked:
        unwanted = [Unwanted(uid, "low", "noop", b"{}")]
        assert w.store.cancel(*w.sender.next(), unwanted) == ["asked"]
    carry_out(rule.move, w, engine, uid)
    leads_to = if_asked(rule) if asked else rule.after
    assert leads_to is not None
    assert state(w, uid) == leads_to.value
