"""Both stores: what is claimed, in which order, when, and how much at once."""

from __future__ import annotations

import attrs
import pytest

from tests.store.world import SECOND, Make, retry, uids
from tests.support import new_job
from trioq.core.calls import Admit, NewJob, StepReply
from trioq.core.model.steps import RECORD_MAX
from trioq.core.settlements import Ack, Park, Release

# -- order -------------------------------------------------------------------------------------


def test_first_in_first_out(world: Make) -> None:
    w = world()
    queued = w.new("low", "low", "low")
    engine = w.engine()
    assert uids(engine.step(2)) + uids(engine.step(2)) == queued


def test_queues_are_emptied_in_the_order_that_the_step_names(world: Make) -> None:
    w = world()
    low, high, low_again, high_again = w.new("low", "high", "low", "high")
    assert uids(w.engine("high", "low").step(3)) == [high, high_again, low]
    assert uids(w.engine("low", "high").step(3)) == [low_again]


def test_a_queue_that_a_step_does_not_name_is_left_alone(world: Make) -> None:
    w = world()
    w.new("low")
    assert w.engine("high").step(1) == ()


def test_a_step_claims_no_more_than_it_wants(world: Make) -> None:
    w = world()
    w.new("high", "low", "low")
    reply = w.engine().ask(2)
    assert len(reply.claims) == reply.held == 2
    assert reply.left == 1
    assert w.engine().step(0) == ()


def test_what_is_released_goes_to_the_head_in_the_order_of_its_claims(world: Make) -> None:
    w = world()
    first, second, third, fourth, fifth = w.new(*["low"] * 5)
    engine = w.engine()
    engine.step(3)
    engine.step(1)
    engine.step(0, Release(fourth, 2), Release(first, 1), Release(third, 1), Release(second, 1))
    assert w.queue("low").ready == (first, second, third, fourth, fifth)
    assert w.dump().attempts == {}


def test_a_step_may_claim_again_what_it_releases(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    assert uids(engine.step(1, Release(uid, 1))) == [uid]
    assert engine.ask(0, Ack(uid, 1)).refused == {uid}, "that was another claim"
    assert engine.ask(0, Ack(uid, 2)).refused == frozenset()


def test_claims_of_many_go_back_in_their_order(world: Make) -> None:
    w = world()
    queued = w.new(*["low"] * 120)
    engine = w.engine()
    assert uids(engine.step(110)) == queued[:110]
    w.store.sign_off(engine.engine)
    assert w.queue("low").ready == tuple(queued)


def test_in_whichever_of_many_queues_a_job_is_it_is_found(world: Make) -> None:
    w = world()
    queues = [f"q{n:03}" for n in range(300)]
    queued = w.new(*(queues[n] for n in (0, 1, 127, 128, 200, 299)))
    later = w.sender.enqueue_new(queues[250], delay_ms=SECOND)
    engine = w.engine(*queues)
    assert uids(engine.step(10)) == queued
    w.clock.ms += SECOND
    assert uids(engine.step(10)) == [later]


# -- scheduled ---------------------------------------------------------------------------------


def test_who_fails_and_is_due_at_once_can_be_claimed_by_the_same_step(world: Make) -> None:
    w = world()
    w.new("low")
    engine = w.engine()
    (again,) = engine.step(1, retry(engine.claim(), 1, 0))
    assert again.attempts == 1


def test_a_delayed_job_is_claimed_exactly_when_it_is_due(world: Make) -> None:
    w = world()
    uid = w.sender.enqueue_new(delay_ms=SECOND)
    engine = w.engine()
    reply = engine.ask(1)
    assert (reply.claims, reply.next_due_ms) == ((), SECOND)
    w.clock.ms += SECOND - 1
    reply = engine.ask(1)
    assert (reply.claims, reply.next_due_ms) == ((), 1)
    w.clock.ms += 1
    reply = engine.ask(1)
    assert (uids(reply.claims), reply.next_due_ms) == ([uid], None)


def test_a_job_of_a_moment_is_due_then_whenever_its_enqueue_arrives(world: Make) -> None:
    w = world()
    later = new_job(at_ms=w.clock.ms + SECOND)
    w.clock.ms += SECOND - 1
    past, now = new_job(at_ms=1), new_job(at_ms=w.clock.ms)
    w.sender.enqueue(later, past, now)
    assert w.queue("low").scheduled == {later.uid: later.at_ms}
    reply = w.engine().ask(3)
    assert (uids(reply.claims), reply.next_due_ms) == ([past.uid, now.uid], 1)


def test_a_job_that_is_due_takes_none_with_it_that_is_not(world: Make) -> None:
    w = world()
    due = w.sender.enqueue_new(delay_ms=SECOND)
    w.sender.enqueue_new(delay_ms=SECOND + 1)
    w.clock.ms += SECOND
    reply = w.engine().ask(2)
    assert (uids(reply.claims), reply.next_due_ms) == ([due], 1)


def test_what_is_due_stands_behind_what_is_ready_in_order_of_its_time(world: Make) -> None:
    w = world()
    later = w.sender.enqueue_new(delay_ms=2 * SECOND)
    sooner = w.sender.enqueue_new(delay_ms=SECOND)
    (ready,) = w.new("low")
    w.clock.ms += 5 * SECOND
    assert uids(w.engine().step(3)) == [ready, sooner, later]


def test_a_step_promotes_a_batch_and_says_that_more_is_due(world: Make) -> None:
    w = world()
    w.sender.enqueue(*(new_job(delay_ms=1) for _ in range(300)))
    w.clock.ms += 1
    engine = w.engine()
    reply = engine.ask(0)
    assert (reply.left, reply.next_due_ms) == (256, 0)
    reply = engine.ask(0)
    assert (reply.left, reply.next_due_ms) == (300, None)


def test_a_step_promotes_one_batch_of_all_its_queues_together(world: Make) -> None:
    w = world()
    for queue in ("low", "high"):
        w.sender.enqueue(*(new_job(queue, delay_ms=1) for _ in range(200)))
    w.clock.ms += 1
    engine = w.engine("low", "high")
    assert engine.ask(0).left == 256
    assert engine.ask(0).left == 400


@pytest.mark.parametrize("queues", [("low", "high"), ("high", "low")])
def test_of_several_queues_the_time_of_what_is_due_first_is_told(
    world: Make, queues: tuple[str, str]
) -> None:
    w = world()
    w.sender.enqueue_new("low", delay_ms=2 * SECOND)
    w.sender.enqueue_new("high", delay_ms=SECOND)
    assert w.engine(*queues).ask(1).next_due_ms == SECOND


def test_a_clock_that_goes_back_delays_and_loses_nothing(world: Make) -> None:
    w = world()
    uid = w.sender.enqueue_new(delay_ms=SECOND)
    w.clock.ms -= 3600 * SECOND
    engine = w.engine()
    assert engine.ask(1).next_due_ms == 3601 * SECOND
    w.clock.ms += 3601 * SECOND
    assert uids(engine.step(1)) == [uid]


# -- bytes -------------------------------------------------------------------------------------


def sized(size: int, queue: str = "low") -> NewJob:
    return attrs.evolve(new_job(queue), stored=b"x" * size)


def test_a_batch_is_bounded_in_bytes_and_nothing_is_overtaken(world: Make) -> None:
    w = world(claim_bytes=100)
    first, second, small, high = (
        sized(60), sized(60), sized(10), sized(10, "high"),
    )  # fmt: skip
    w.sender.enqueue(first, second, small, high)
    engine = w.engine()
    reply = engine.ask(9)
    assert (uids(reply.claims), reply.left) == ([high.uid, first.uid], 2)
    assert w.queue("low").ready == (second.uid, small.uid)
    assert uids(engine.step(9)) == [second.uid, small.uid]


def test_a_record_above_the_bound_is_claimed_alone(world: Make) -> None:
    w = world(claim_bytes=100)
    jobs = [sized(10), sized(500), sized(10)]
    w.sender.enqueue(*jobs)
    engine = w.engine()
    assert [uids(engine.step(9)) for _ in range(3)] == [[job.uid] for job in jobs]


@pytest.mark.direct  # it tells a first answer from a second
def test_a_record_that_cannot_be_ours_is_handed_over_in_part_each_time(world: Make) -> None:
    w = world()
    ours, others = sized(RECORD_MAX), sized(20 * RECORD_MAX)
    w.sender.enqueue(ours, others)
    engine = w.engine()
    assert engine.step(9)[0].stored == ours.stored
    step = engine.make(9)
    for word in ("ok", "again"):
        reply = w.store.step(step)
        assert isinstance(reply, StepReply)
        (claim,) = reply.claims
        assert (reply.word, claim.uid, len(claim.stored)) == (word, others.uid, RECORD_MAX)


# -- of an engine that is idle: the server takes these a shorter way ------------------------------


def test_an_idle_engine_claims_the_only_job_and_ends_it(world: Make) -> None:
    w = world()
    (uid,) = w.new("high")
    engine = w.engine()
    reply = engine.ask(5, parked_version=0)
    assert (uids(reply.claims), reply.held, reply.left) == ([uid], 1, 0)
    assert w.store.step(engine.make(5, Ack(uid, 7, b"{}"), parked_version=0)).refused == {uid}
    assert engine.ask(5, Ack(uid, 1, b"{}"), parked_version=0).held == 0
    left = w.dump()
    assert (left.jobs, left.running, left.kept) == ({}, {}, ((1, (b"{}",)),))
    assert (left.stats["claimed"], left.stats["done"]) == (1, 1)
    reply = engine.ask(5, parked_version=0)
    assert (reply.claims, reply.held) == ((), 0)


def test_an_engine_isnt_idle_if_there_is_another_job(world: Make) -> None:
    w = world(pack_max=100)
    queued = w.new("low", "low", "low")
    engine = w.engine()
    reply = engine.ask(1, parked_version=0)
    assert (uids(reply.claims), reply.left) == (queued[:1], 2)
    engine.step(2, Ack(queued[0], 1))
    for uid, held in zip(queued[:0:-1], (1, 0), strict=True):
        assert engine.ask(1, Ack(uid, 2, b"{}"), parked_version=0).held == held


def test_an_idle_engine_that_wants_none_claims_none(world: Make) -> None:
    w = world()
    w.new("low")
    assert w.engine().ask(0, parked_version=0).claims == ()


def test_an_idle_engine_too_claims_from_the_first_queue_first(world: Make) -> None:
    w = world()
    engine = w.engine()
    low, high = w.new("low", "high")
    assert uids(engine.ask(1, parked_version=0).claims) == [high]
    assert uids(engine.ask(1, Ack(high, 1, b"{}"), parked_version=0).claims) == [low]


def test_what_an_idle_engine_had_goes_back_to_its_queue(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine("high", "low")
    assert uids(engine.ask(1, parked_version=0).claims) == [uid]
    w.reap(engine)
    assert w.queue("low").suspects == (uid,)


def test_an_idle_engine_ends_what_it_holds_and_by_that_claim(world: Make) -> None:
    w = world()
    engine = w.engine("low")
    for _ in range(9):
        engine.ask(0, parked_version=0)
    gone, held = w.new("low", "low")
    assert len(engine.ask(2, parked_version=0).claims) == 2
    assert not engine.ask(0, Ack(gone, 10, b"{}"), parked_version=0).refused
    for late in (Ack(gone, 10, b"{}"), Ack(held, 1, b"{}")):
        assert engine.ask(0, late, parked_version=0).refused == {late.uid}
    left = w.dump()
    assert (set(left.jobs), left.stats["done"]) == ({held}, 1)


def test_of_what_an_idle_engine_ends_no_more_is_kept_than_shall_be(world: Make) -> None:
    w = world(keep_done=2)
    engine = w.engine("low")
    for nth in range(4):
        (uid,) = w.new("low")
        assert engine.ask(1, parked_version=0).claims
        engine.ask(0, Ack(uid, 2 * nth + 1, b"%d" % nth), parked_version=0)
    assert w.dump().kept == ((4, (b"3",)), (3, (b"2",)))


def test_an_idle_engine_claims_of_a_record_that_cannot_be_ours_a_part(world: Make) -> None:
    w = world()
    others = sized(20 * RECORD_MAX)
    w.sender.enqueue(others)
    (claim,) = w.engine().ask(9, parked_version=0).claims
    assert (claim.uid, len(claim.stored)) == (others.uid, RECORD_MAX)


def test_what_the_byte_bound_sends_back_to_a_door_or_to_the_suspects_is_there_in_order(
    world: Make,
) -> None:
    w = world(claim_bytes=100)
    jobs = [sized(60) for _ in range(4)]
    w.sender.enqueue(*jobs)
    engine = w.engine("low")
    engine.step(1)
    engine.step(1)
    engine.step(1)
    engine.step(1)
    engine.step(0, *(Park(job.uid, i, "low", "odd") for i, job in enumerate(jobs[:2], 1)))
    w.reap(engine)
    (high,) = w.new("high")
    claims = w.engine().ask(9, admits=(Admit("low", "odd", 9),)).claims
    assert uids(claims) == [high, jobs[2].uid][: len(claims)]
    left = w.dump()
    assert left.parked == {("low", "odd"): (jobs[0].uid, jobs[1].uid)}
    assert left.queues["low"].suspects[-1:] == (jobs[3].uid,)
