"""A walk through a job's whole life makes every move of the table, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import pytest

from props.table import moves_made
from tests.dump import Dump
from tests.store.drive import line
from tests.store.world import SECOND, World, bury, died, retry
from tests.support import Server, cancelled_by, new_job
from trioq.core.calls import Admit, Replacing, WhenFull
from trioq.core.lifecycle import RULES, Move, Rule, State
from trioq.core.limits import LimitSettings
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


@attrs.frozen
class Seen:
    """One call, and what was there before and after it."""

    script: str
    asked: tuple[Settlement, ...]
    before: Dump
    after: Dump


@attrs.define
class Walk:
    """Calls a store and looks before and after."""

    world: World
    seen: list[Seen] = attrs.field(factory=list[Seen])

    def look(self, script: str, call: Callable[[], Any], *asked: Settlement) -> Any:
        before = self.world.dump()
        answer = call()
        self.seen.append(Seen(script, asked, before, self.world.dump()))
        return answer

    def go(self) -> None:
        """Everything that can happen to a job."""
        self.settlements()
        self.unwanted()
        self.crashes_and_doors()
        self.clients()
        self.limits()

    def settlements(self) -> None:
        w, engine = self.world, self.world.engine("low")
        self.look("enqueue", lambda: w.new(*["low"] * 6))
        self.look("enqueue", lambda: w.sender.enqueue_new(delay_ms=SECOND))
        ack, again, later, dead, back, door = self.look("step", lambda: engine.step(6))
        ends = (
            Ack(ack.uid, 1, b"{}"),
            retry(again, 1, SECOND),
            RetryAt(later.uid, 1, SECOND, later.attempts),
            DeadLetter(dead.uid, 1, 1, "failures", line("no")),
            Release(back.uid, 1),
            Park(door.uid, 1, "low", "noop"),
        )
        for end in ends:
            self.look("step", lambda end=end: engine.step(0, end), end)
        w.clock.ms += 2 * SECOND
        self.look("step", lambda: engine.step(0))
        self.look("step", lambda: engine.step(9, admits=(Admit("low", "noop", 9),)))
        self.look("sign_off", lambda: w.store.sign_off(engine.engine))
        # Settled, promoted and claimed again in one step.
        engine = w.engine("low")
        claim = engine.claim()
        self.look("step", lambda: engine.step(9, retry(claim, 1, 0)), retry(claim, 1, 0))

    def unwanted(self) -> None:
        """Running jobs that are stopped, and that were asked to end and are given back."""
        w = self.world
        w.new("low", "low", "low")
        engine = w.engine("low")
        delivered, stopped, asked = engine.step(3)
        cancelled_by(w.store, *w.sender.next(), asked.uid, "low", "noop")
        ends: tuple[Settlement, ...] = (
            Deliver(delivered.uid, 1, SECOND, "done", b"1"),
            Cancel(stopped.uid, 1),
            Release(asked.uid, 1),
        )
        for end in ends:
            self.look("step", lambda end=end: engine.step(0, end), end)

    def crashes_and_doors(self) -> None:
        w = self.world
        engine = w.engine("high")
        w.new("high", "high")
        engine.step(2)
        self.look("reap", lambda: w.reap(engine))
        engine = w.engine("high")
        suspect = engine.claim()
        back = Release(suspect.uid, 1)
        self.look("step", lambda: engine.step(0, back), back)
        engine.step(1)
        self.look("reap", lambda: w.reap(engine, max_reaps=1))
        engine = w.engine("high")
        claim = engine.claim()
        engine.step(0, Park(claim.uid, 1, "high", "noop"))
        w.clock.ms += SECOND
        self.look("expire_parked", lambda: w.store.expire_parked("high", "noop", SECOND, b"{}"))

    def clients(self) -> None:
        w = self.world
        died(w, "high")
        w.new("high")
        w.sender.enqueue_new("high", delay_ms=SECOND)
        self.look("purge", lambda: w.store.purge(*w.sender.next(), "high", [], 9))
        named = new_job("high", id="named")
        first, second = bury(w, new_job("high"), named)
        self.look("revive", lambda: w.store.revive(*w.sender.next(), [(first, "high")]))
        self.look("purge_dead", lambda: w.store.purge_dead(*w.sender.next(), [second]))
        self.look("cancel", lambda: cancelled_by(w.store, *w.sender.next(), first, "high", "noop"))
        later = w.sender.enqueue_new("high", delay_ms=SECOND)
        self.look("cancel", lambda: cancelled_by(w.store, *w.sender.next(), later, "high", "noop"))
        w.new("full")
        self.look("enqueue", lambda: w.new("full"))

    def limits(self) -> None:
        w, engine = self.world, self.world.engine("limited")
        w.store.set_limits({"one": LimitSettings(concurrency=1)}, 1)
        jobs = [new_job("limited", takes=("one",), id=f"id{n}") for n in range(2)]
        w.sender.enqueue(*jobs)
        self.look("step", lambda: engine.step(2))
        newer = Replacing(attrs.evolve(jobs[1], takes=()))
        self.look("replace", lambda: w.store.replace(*w.sender.next(), newer))

    def moves(self, rules: Sequence[Rule] = RULES) -> list[Rule]:
        """All that were made."""
        return [
            rule
            for seen in self.seen
            for rule in moves_made(seen.script, seen.asked, seen.before, seen.after, rules)
        ]


@pytest.fixture(scope="module", params=["redis", "memory"])
def walk(request: pytest.FixtureRequest, shared_server: Server) -> Walk:
    shared_server.call("FLUSHALL")
    full: Mapping[str, WhenFull] = {"full": "drop_oldest"}
    world = World.of(request.param, shared_server, max_lengths={"full": 1}, when_full=full)
    walk = Walk(world)
    walk.go()
    world.close()
    return walk


def test_a_walk_makes_every_move_of_the_table(walk: Walk) -> None:
    assert {rule.move for rule in walk.moves()} == set(Move)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.move.value)
def test_a_move_that_the_table_lacks_is_refused(walk: Walk, rule: Rule) -> None:
    left = [other for other in RULES if arrow(other) != arrow(rule)]
    with pytest.raises(AssertionError, match="the table has no way"):
        walk.moves(left)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.move.value)
def test_a_move_that_leads_elsewhere_than_the_table_says_is_refused(walk: Walk, rule: Rule) -> None:
    elsewhere = State.DEAD if rule.after is not State.DEAD else State.SCHEDULED
    bent = [attrs.evolve(r, after=elsewhere) if arrow(r) == arrow(rule) else r for r in RULES]
    with pytest.raises(AssertionError, match="the table has no way"):
        walk.moves(bent)


def test_a_place_that_the_table_lacks_is_refused(walk: Walk) -> None:
    for rule in RULES:
        for place in rule.places:
            places = tuple(each for each in rule.places if each is not place)
            bent = [attrs.evolve(r, places=places) if r is rule else r for r in RULES]
            with pytest.raises(AssertionError, match="the table has no way"):
                walk.moves(bent)


def arrow(rule: Rule) -> tuple[Any, ...]:
    """What can be seen of a move: a retry and a snooze differ in what they count."""
    return rule.before, rule.after, rule.scripts, rule.verb


def test_a_settlement_that_was_not_asked_for_is_no_way(walk: Walk) -> None:
    acked = next(seen for seen in walk.seen if any(isinstance(s, Ack) for s in seen.asked))
    with pytest.raises(AssertionError, match="the table has no way"):
        moves_made("step", (), acked.before, acked.after)


def test_a_job_in_no_container_is_nowhere(walk: Walk) -> None:
    before, after = walk.seen[0].before, walk.seen[0].after
    lost = attrs.evolve(after, queues={})
    with pytest.raises(AssertionError, match="nowhere"):
        moves_made("enqueue", (), before, lost)
