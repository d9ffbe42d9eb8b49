"""Both stores: steps are a strict sequence, and their engines are known while they live."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from tests.store.world import Make, retry
from trioq.core.calls import Beat, Gone, StepReply
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt, Settlement
from trioq.errors import TrioqBug

# -- the sequence of steps ---------------------------------------------------------------------


def test_a_step_executed_again_is_answered_as_it_was(world: Make) -> None:
    w = world()
    done, stale, *_ = w.new(*["low"] * 4)
    engine = w.engine()
    engine.step(1)
    step = engine.make(2, Ack(done, 1), Ack(stale, 7))
    first = w.store.step(step)
    before = w.dump()
    again = w.store.step(step)
    assert isinstance(first, StepReply)
    assert isinstance(again, StepReply)
    assert again.word == "again"
    assert (again.claims, again.refused, again.held) == (first.claims, first.refused, first.held)
    assert (len(again.claims), again.refused) == (2, {stale})
    assert w.dump() == before


def test_the_repetition_tells_of_many_in_the_order_in_which_they_were_claimed(world: Make) -> None:
    w = world()
    queued = w.new(*["low"] * 100)
    engine = w.engine()
    step = engine.make(100)
    for _ in range(2):
        reply = w.store.step(step)
        assert isinstance(reply, StepReply)
        assert [claim.uid for claim in reply.claims] == queued


def test_the_repetition_tells_of_suspects_and_attempts_too(world: Make) -> None:
    w = world()
    w.new("low", "low")
    engine = w.engine()
    engine.step(0, retry(engine.claim(), 1, 0))
    dying = w.engine()
    dying.step(2)
    w.reap(dying)
    step = engine.make(2)
    first, again = w.store.step(step), w.store.step(step)
    assert isinstance(first, StepReply)
    assert isinstance(again, StepReply)
    assert [claim.suspect for claim in first.claims] == [True]
    assert again.claims == first.claims


def test_an_old_copy_changes_nothing(world: Make) -> None:
    w = world()
    w.new("low", "low", "low")
    engine = w.engine()
    old = engine.make(1)
    w.store.step(old)
    engine.step(1)
    before = w.dump()
    assert w.store.step(old) == Gone("old")
    assert w.dump() == before


def test_a_number_from_a_future_that_this_data_set_does_not_know_is_gone(world: Make) -> None:
    w = world()
    w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.n += 1
    before = w.dump()
    assert w.store.step(engine.make(1)) == Gone()
    assert w.dump() == before


def test_who_is_not_registered_is_gone(world: Make) -> None:
    w = world()
    w.new("low")
    engine = w.engine()
    w.store.sign_off(engine.engine)
    before = w.dump()
    assert w.store.step(engine.make(1)) == Gone()
    assert w.store.beat(engine.engine) == Gone()
    assert w.dump() == before


def test_the_same_number_with_other_settlements_is_a_bug_and_changes_nothing(world: Make) -> None:
    w = world()
    first, second = w.new("low", "low")
    engine = w.engine()
    engine.step(2)
    step = engine.make(0, Ack(first, 1))
    w.store.step(step)
    before = w.dump()
    with pytest.raises(TrioqBug, match="other settlements"):
        w.store.step(attrs.evolve(step, settlements=(Ack(second, 1),)))
    assert w.dump() == before


@pytest.mark.parametrize(
    "verb",
    [lambda uid, n: RetryAt(uid, n, 0, 1), Release, lambda uid, n: Park(uid, n, "high", "x")],
)
def test_a_job_can_not_go_back_to_a_queue_that_the_step_does_not_name(
    world: Make, verb: Callable[[str, int], Settlement]
) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine("high", "low")
    engine.step(1)
    engine.queues = ("high",)
    step = engine.make(0, verb(uid, 1))
    for _ in range(2):
        reply = w.store.step(step)
        assert isinstance(reply, StepReply)
        assert (reply.refused, reply.held) == ({uid}, 1)
    engine.queues = ("low",)
    assert not engine.ask(0, Ack(uid, 1)).refused


@pytest.mark.parametrize("verb", [Ack, lambda uid, n: DeadLetter(uid, n, 1, "failures", b"")])
def test_a_job_ends_whatever_queues_the_step_names(
    world: Make, verb: Callable[[str, int], Settlement]
) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine("high", "low")
    engine.step(1)
    engine.queues = ("high",)
    reply = engine.ask(0, verb(uid, 1))
    assert (reply.refused, reply.held) == (frozenset(), 0)


def test_more_than_a_batch_is_refused(world: Make) -> None:
    w = world()
    engine = w.engine()
    w.new("low")
    before = w.dump()
    with pytest.raises(TrioqBug, match="1000"):
        w.store.step(engine.make(1001))
    many = tuple(Ack(f"{i:032x}", 1) for i in range(1001))
    with pytest.raises(TrioqBug, match="1000"):
        w.store.step(engine.make(0, *many))
    assert w.dump() == before


# -- engines -----------------------------------------------------------------------------------


def test_an_engine_is_known_from_its_registration_to_its_end(world: Make) -> None:
    w = world()
    assert w.store.register("e.1", b'{"pid":7}')
    assert not w.store.register("e.1", b'{"pid":8}')
    assert w.store.engines() == {"e.1": b'{"pid":7}'}
    assert w.store.observe() == {"e.1": 0}
    w.store.sign_off("e.1")
    assert w.store.engines() == w.store.observe() == {}


def test_steps_and_beats_are_signs_of_life_and_repetitions_of_a_step_are_not(world: Make) -> None:
    w = world()
    engine = w.engine()

    def signs() -> int:
        return w.store.observe()[engine.engine]

    seen = [signs()]
    w.store.beat(engine.engine)
    seen.append(signs())
    step = engine.make(0)
    w.store.step(step)
    seen.append(signs())
    assert seen == sorted(set(seen))
    w.store.step(step)
    assert signs() == seen[-1]


def test_a_beat_tells_what_the_engine_holds_and_which_doors_there_are(world: Make) -> None:
    w = world()
    first, _ = w.new("low", "low")
    engine = w.engine()
    reply = engine.ask(2)
    assert w.store.beat(engine.engine) == Beat(2, reply.parked_version)
    reply = engine.ask(0, Park(first, 1, "low", "noop"))
    assert w.store.beat(engine.engine) == Beat(1, reply.parked_version)


def test_signing_off_gives_everything_back_in_order_and_blames_nobody(world: Make) -> None:
    w = world()
    queued = w.new("high", "high", "low", "low", "low")
    engine = w.engine()
    engine.step(1)
    engine.step(3)
    w.store.sign_off(engine.engine)
    w.store.sign_off(engine.engine)
    assert w.queue("high").ready == tuple(queued[:2])
    assert w.queue("low").ready == tuple(queued[2:])
    left = w.dump()
    assert (left.running, left.steps, left.reaps, left.attempts) == ({}, {}, {}, {})
