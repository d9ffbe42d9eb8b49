"""What engines are promised, by both stores: order, claims, settlements, suspects, doors.

What clients are promised is in ``test_contract_clients.py``; what a server can do beside its
scripts, in ``test_scripts_live.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import attrs
import pytest

from tests.dump import Waiting
from tests.store.drive import Driver, line
from tests.store.world import World, uids
from tests.support import new_job
from trioq.errors import TrioqBug
from trioq.store.protocol import (
    Ack,
    Admit,
    Beat,
    DeadLetter,
    Gone,
    NewJob,
    Park,
    Release,
    RetryAt,
    StepReply,
)

Make = Callable[..., World]
SECOND = 1000


def retry(claim: object, n: int, delay_ms: int = SECOND, text: bytes = b"") -> RetryAt:
    """After one more failure."""
    uid, attempts = claim.uid, claim.attempts  # type: ignore[attr-defined]
    return RetryAt(uid, n, delay_ms, attempts + 1, text or line("no"))


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


# -- scheduled -----------------------------------------------------------------------------------


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


def test_a_clock_that_goes_back_delays_and_loses_nothing(world: Make) -> None:
    w = world()
    uid = w.sender.enqueue_new(delay_ms=SECOND)
    w.clock.ms -= 3600 * SECOND
    engine = w.engine()
    assert engine.ask(1).next_due_ms == 3601 * SECOND
    w.clock.ms += 3601 * SECOND
    assert uids(engine.step(1)) == [uid]


# -- settlements ---------------------------------------------------------------------------------


def test_a_job_that_succeeded_leaves_its_summary_and_nothing_else(world: Make) -> None:
    w = world()
    uid = w.sender.enqueue_new(payload=b"{" + b" " * 9000 + b"}")
    engine = w.engine()
    engine.step(0, retry(engine.claim(), 1, 0))
    engine.step(1)
    engine.step(0, Ack(uid, 3, b"{}"))
    left = w.dump()
    assert left.done == (b"{}",)
    assert (left.jobs, left.big, left.history, left.running) == ({}, {}, {}, {})
    assert (left.stats["done"], left.stats["retried"]) == (1, 1)


def test_the_newest_summaries_are_kept(world: Make) -> None:
    w = world(keep_done=3)
    queued = w.new(*["low"] * 5)
    engine = w.engine()
    engine.step(5)
    engine.step(0, *(Ack(uid, 1, b"%d" % i) for i, uid in enumerate(queued)))
    assert w.dump().done == (b"4", b"3", b"2")
    assert w.dump().stats["done"] == 5


def test_where_no_summaries_are_kept_there_are_none(world: Make) -> None:
    w = world(keep_done=0)
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Ack(uid, 1, b"{}"))
    assert w.dump().done == ()


def test_a_retry_counts_the_attempt_and_waits_its_delay(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(0, retry(engine.claim(), 1))
    assert engine.step(1) == ()
    w.clock.ms += SECOND
    claim = engine.claim()
    assert (claim.uid, claim.attempts) == (uid, 1)
    assert w.dump().history[uid] == line("no")


def test_a_snooze_counts_nothing_and_tells_nothing(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, RetryAt(uid, 1, 0, attempts=0))
    assert engine.claim().attempts == 0
    assert w.dump().history == {}


def test_a_dead_job_keeps_its_record_its_reason_and_its_errors(world: Make) -> None:
    w = world()
    job = new_job(payload=b'{"a": 1}')
    w.sender.enqueue(job)
    engine = w.engine()
    engine.step(0, retry(engine.claim(), 1, 0, line("first")))
    engine.step(1)
    engine.step(0, DeadLetter(job.uid, 3, 2, "failures", line("second", 2)))
    left = w.dump()
    assert left.dead == {job.uid: w.clock.ms}
    assert left.reasons == {job.uid: "failures"}
    assert left.jobs == {job.uid: job.stored}
    assert left.attempts == {job.uid: 2}
    assert left.history == {job.uid: line("first") + b"\n" + line("second", 2)}
    assert w.store.history(job.uid) == left.history[job.uid]
    w.clock.ms += 10**9
    assert engine.step(9) == ()


def test_a_long_history_keeps_its_beginning_and_its_end(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    for attempt in range(1, 41):
        engine.step(1)
        engine.step(0, RetryAt(uid, engine.n, 0, attempt, line("no", attempt)))
        lines = [json.loads(text) for text in w.dump().history[uid].split(b"\n")]
        if attempt <= 25:
            assert [each["attempt"] for each in lines] == list(range(1, attempt + 1))
        else:
            assert lines[5] == {"omitted": attempt - 25}
            kept = [each["attempt"] for each in lines if "attempt" in each]
            assert kept == [1, 2, 3, 4, 5, *range(attempt - 19, attempt + 1)]


def test_a_big_payload_waits_to_be_asked_for(world: Make) -> None:
    w = world()
    payload = b"{" + b" " * 100_000 + b"}"
    uid = w.sender.enqueue_new(payload=payload)
    assert len(w.engine().claim().stored) < 1000
    assert w.store.payload(uid) == payload
    assert w.store.payload("nobody") is None
    assert w.store.history("nobody") is None


# -- fencing -------------------------------------------------------------------------------------


def every_way(uid: str, n: int) -> list[Ack | RetryAt | DeadLetter | Release | Park]:
    return [
        Ack(uid, n, b"{}"),
        RetryAt(uid, n, 0, 1, line("no")),
        DeadLetter(uid, n, 1, "failures", line("no")),
        Release(uid, n),
        Park(uid, n, "low", "noop"),
    ]


def test_a_claim_is_settled_once(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Ack(uid, 1))
    before = w.dump()
    for late in every_way(uid, 1):
        assert engine.ask(0, late).refused == {uid}
    assert unchanged_but_for_steps(w, before)


def test_a_claim_is_settled_once_within_a_step_too(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    reply = engine.ask(0, Release(uid, 1), Ack(uid, 1))
    assert (reply.refused, reply.held) == ({uid}, 0)
    assert w.dump().stats["done"] == 1


def test_another_engines_claim_is_not_ours_to_settle(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    w.engine().step(1)
    other = w.engine()
    other.step(0)
    before = w.dump()
    for settlement in every_way(uid, 1):
        assert other.ask(0, settlement).refused == {uid}
    assert unchanged_but_for_steps(w, before)


def test_a_claim_that_was_given_back_is_over_also_if_the_same_engine_has_the_job(
    world: Make,
) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Release(uid, 1))
    engine.step(1)
    before = w.dump()
    for late in every_way(uid, 1):
        assert engine.ask(0, late).refused == {uid}
    assert unchanged_but_for_steps(w, before)
    assert not engine.ask(0, Ack(uid, 3)).refused


def test_a_zombies_settlements_change_nothing(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    zombie = w.engine()
    zombie.step(1)
    w.reap(zombie)
    w.engine().step(1)
    before = w.dump()
    for late in every_way(uid, 1):
        assert w.store.step(zombie.make(1, late)) == Gone()
    assert w.store.beat(zombie.engine) == Gone()
    assert w.dump() == before


def unchanged_but_for_steps(w: World, before: object) -> bool:
    """Whether engines made steps since then, and nothing else happened."""
    after = w.dump()
    return attrs.evolve(before, steps={}, beats={}) == attrs.evolve(after, steps={}, beats={})  # type: ignore[misc]


# -- the sequence of steps -----------------------------------------------------------------------


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


def test_a_job_of_a_queue_that_the_step_does_not_name_stays_with_its_engine(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine("high", "low")
    engine.step(1)
    engine.queues = ("high",)
    step = engine.make(0, Ack(uid, 1))
    for _ in range(2):
        reply = w.store.step(step)
        assert isinstance(reply, StepReply)
        assert (reply.refused, reply.held) == ({uid}, 1)
    engine.queues = ("low",)
    assert not engine.ask(0, Ack(uid, 1)).refused


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


# -- engines -------------------------------------------------------------------------------------


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


# -- reaping and suspects ------------------------------------------------------------------------


def died(w: World, *queues: str) -> list[str]:
    """Queue a job in each of these, and let an engine die that runs them all."""
    made = w.new(*queues)
    engine = w.engine()
    assert len(engine.step(len(queues))) == len(queues)
    assert w.reap(engine).moved == len(queues)
    return made


def test_who_has_beaten_since_is_not_reaped(world: Make) -> None:
    w = world()
    w.new("low")
    engine = w.engine()
    engine.step(1)
    seen = w.store.observe()[engine.engine]
    w.store.beat(engine.engine)
    before = w.dump()
    assert w.store.reap(engine.engine, seen, 3).word == "alive"
    assert w.dump() == before


def test_a_dead_engines_jobs_become_suspects_at_the_head_in_order(world: Make) -> None:
    w = world()
    first, second = w.engine(), w.engine()
    older = w.new("low", "low")
    first.step(2)
    newer = w.new("low", "high", "low")
    second.step(1)
    second.step(2)
    w.reap(first)
    w.reap(second)
    assert w.queue("low").suspects == (newer[0], newer[2], *older)
    assert w.queue("high").suspects == (newer[1],)
    left = w.dump()
    assert (left.running, left.steps, left.beats, left.engines) == ({}, {}, {}, {})
    assert left.reaps == {}, "nobody is blamed who had company"


def test_whom_a_reaper_has_reaped_is_gone_for_the_next(world: Make) -> None:
    w = world()
    engine = w.engine()
    w.store.sign_off(engine.engine)
    assert w.store.reap(engine.engine, 0, 3).word == "gone"


def test_suspects_come_first_and_one_at_a_time(world: Make) -> None:
    w = world()
    first, second = died(w, "low", "low")
    (ready,) = w.new("low")
    engine = w.engine()
    claims = engine.ask(5).claims
    assert [(claim.uid, claim.suspect) for claim in claims] == [(first, True), (ready, False)]
    assert engine.ask(5, suspect=False).claims == ()
    other = w.engine().ask(5).claims
    assert [(claim.uid, claim.suspect) for claim in other] == [(second, True)]


def test_one_suspect_even_where_several_queues_have_some(world: Make) -> None:
    w = world()
    high, low = died(w, "high", "low")
    assert uids(w.engine().ask(5).claims) == [high]
    assert w.queue("low").suspects == (low,)


def test_a_step_that_settles_its_suspect_may_take_the_next(world: Make) -> None:
    w = world()
    first, second = died(w, "low", "low")
    engine = w.engine()
    engine.step(1)
    assert uids(engine.step(1, Ack(first, 1))) == [second]


def test_a_suspect_that_is_given_back_is_one_still(world: Make) -> None:
    w = world()
    first, second = died(w, "low", "low")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Release(first, 1))
    assert w.queue("low").suspects == (first, second)
    engine.step(1)
    w.store.sign_off(engine.engine)
    assert w.queue("low").suspects == (first, second)


def test_only_the_suspect_is_blamed_and_its_neighbours_live(world: Make) -> None:
    w = world()
    killer, *_ = died(w, "low", "low", "low")
    w.new("low", "low")
    for crash in (1, 2):
        engine = w.engine()
        assert uids(engine.step(5))[0] == killer
        w.reap(engine, max_reaps=3)
        assert w.dump().reaps == {killer: crash}
        w.new("low")
    engine = w.engine()
    engine.step(5)
    assert w.reap(engine, max_reaps=3).dead == (killer,)
    left = w.dump()
    assert left.reasons == {killer: "worker_lost"}
    assert b"worker_lost" in left.history[killer]
    assert len(left.jobs) == 7, "nobody else died, and the dead one's record is kept"


def test_who_runs_alone_when_its_engine_dies_is_blamed_at_once(world: Make) -> None:
    w = world()
    (uid,) = died(w, "low")
    assert w.dump().reaps == {uid: 1}
    engine = w.engine()
    engine.step(1)
    assert w.reap(engine, max_reaps=2).dead == (uid,)


def test_attempts_and_reaps_are_counted_apart(world: Make) -> None:
    w = world()
    (uid,) = died(w, "low")
    engine = w.engine()
    claim = engine.claim()
    assert claim.attempts == 0, "a crash is no attempt"
    engine.step(0, retry(claim, 1, 0))
    left = w.dump()
    assert (left.attempts, left.reaps) == ({uid: 1}, {uid: 1})


# -- doors ---------------------------------------------------------------------------------------


def parked(w: World, *names: str) -> list[str]:
    """Let an engine that knows none of these names park a job of each."""
    jobs = [new_job("low", name) for name in names]
    w.sender.enqueue(*jobs)
    engine = w.engine("low")
    claims = engine.step(len(jobs))
    parks = (Park(c.uid, 1, "low", name) for c, name in zip(claims, names, strict=True))
    engine.step(0, *parks)
    return [job.uid for job in jobs]


def test_a_parked_job_waits_for_an_engine_that_admits_its_name(world: Make) -> None:
    w = world()
    first, second, other = parked(w, "odd", "odd", "rare")
    (ready,) = w.new("low")
    engine = w.engine("low")
    assert uids(engine.step(1)) == [ready]
    assert engine.step(5) == (), "its door is closed"
    admits = (Admit("low", "odd", 5),)
    assert uids(engine.step(5, admits=admits)) == [first, second]
    assert w.dump().parked == {("low", "rare"): (other,)}
    assert w.dump().attempts == {}, "to wait at a door is no attempt"


def test_admitted_jobs_come_before_ready_ones_and_no_more_than_the_limit(world: Make) -> None:
    w = world()
    first, second, third = parked(w, "odd", "odd", "odd")
    (ready,) = w.new("low")
    engine = w.engine("low")
    assert uids(engine.step(5, admits=(Admit("low", "odd", 1),))) == [first, ready]
    assert uids(engine.step(1, admits=(Admit("low", "odd", 5),))) == [second]
    assert w.dump().parked == {("low", "odd"): (third,)}


def test_a_job_that_is_parked_again_goes_behind_those_that_wait(world: Make) -> None:
    w = world()
    first, second = parked(w, "odd", "odd")
    engine = w.engine("low")
    engine.step(1, admits=(Admit("low", "odd", 1),))
    engine.step(0, Park(first, 1, "low", "odd"))
    assert w.dump().parked == {("low", "odd"): (second, first)}


def test_engines_are_told_of_doors_when_they_do_not_know(world: Make) -> None:
    w = world()
    engine = w.engine("low")
    reply = engine.ask(0)
    assert reply.parked == ()
    assert engine.ask(0, parked_version=reply.parked_version).parked is None
    parked(w, "odd", "rare")
    news = engine.ask(0, parked_version=reply.parked_version)
    assert news.parked == (("low", "odd"), ("low", "rare"))
    assert engine.ask(0, parked_version=news.parked_version).parked is None
    gone = engine.ask(1, parked_version=news.parked_version, admits=(Admit("low", "odd", 1),))
    assert gone.parked == (("low", "rare"),)


def test_an_unknown_name_is_dead_after_once_to_twice_the_time(world: Make) -> None:
    w = world()
    first, second = parked(w, "odd", "odd")
    w.clock.ms += SECOND
    (third,) = parked(w, "odd")

    def expire() -> int:
        return w.store.expire_parked("low", "odd", 5 * SECOND, line("unknown"))

    w.clock.ms += 4 * SECOND - 1
    assert expire() == 0
    w.clock.ms += 1
    assert expire() == 2
    assert w.dump().dead.keys() == {first, second}
    w.clock.ms += 5 * SECOND - 1
    assert expire() == 0
    w.clock.ms += 1
    assert expire() == 1
    left = w.dump()
    assert left.reasons == dict.fromkeys([first, second, third], "unknown_name")
    assert left.history[third] == line("unknown")
    assert (left.parked, left.doors) == ({}, {})
    assert expire() == 0


def test_a_name_that_somebody_has_claimed_meanwhile_begins_to_wait_anew(world: Make) -> None:
    w = world()
    _, second = parked(w, "odd", "odd")
    w.clock.ms += 4 * SECOND
    w.engine("low").step(1, admits=(Admit("low", "odd", 1),))
    w.clock.ms += 4 * SECOND
    assert w.store.expire_parked("low", "odd", 5 * SECOND, line("unknown")) == 0
    assert w.dump().parked == {("low", "odd"): (second,)}


@pytest.mark.direct  # executed twice, it takes two batches
def test_more_than_a_batch_expires_in_several_calls(world: Make) -> None:
    w = world()
    parked(w, *["odd"] * 300)
    w.clock.ms += SECOND
    w.store.expire_parked("low", "odd", SECOND, line("unknown"))
    assert len(w.dump().dead) < 300
    w.store.expire_parked("low", "odd", SECOND, line("unknown"))
    assert len(w.dump().dead) == 300


# -- bytes ---------------------------------------------------------------------------------------


def sized(size: int, queue: str = "low") -> NewJob:
    return attrs.evolve(new_job(queue), stored=b"x" * size)


def test_a_batch_is_bounded_in_bytes_and_nothing_is_overtaken(world: Make) -> None:
    w = world(claim_bytes=100)
    first, second, small, high = (
        sized(60), sized(60), sized(10), sized(10, "high"),
    )  # fmt: skip
    w.sender.enqueue(first, second, small, high)
    engine = w.engine()
    assert uids(engine.step(9)) == [high.uid, first.uid]
    assert w.queue("low").ready == (second.uid, small.uid)
    assert uids(engine.step(9)) == [second.uid, small.uid]


def test_a_record_above_the_bound_is_claimed_alone(world: Make) -> None:
    w = world(claim_bytes=100)
    jobs = [sized(10), sized(500), sized(10)]
    w.sender.enqueue(*jobs)
    engine = w.engine()
    assert [uids(engine.step(9)) for _ in range(3)] == [[job.uid] for job in jobs]


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


# -- bells ---------------------------------------------------------------------------------------


def rings(w: World, *queues: str) -> bool:
    """Whether a bell of these rings; it is heard by that."""
    return w.store.wait(queues, 0.001)


def test_a_bell_rings_once_however_much_there_is(world: Make) -> None:
    w = world()
    assert not rings(w, "low")
    w.new("low", "low")
    assert not rings(w, "high")
    assert rings(w, "high", "low")
    assert not rings(w, "low")


def test_a_step_that_leaves_something_rings_again(world: Make) -> None:
    w = world()
    w.new("low", "low", "low")
    engine = w.engine()
    assert rings(w, "low")
    engine.step(2)
    assert rings(w, "low")
    engine.step(2)
    assert not rings(w, "low")


def test_a_bell_rings_for_what_comes_back_and_for_what_is_due(world: Make) -> None:
    w = world()
    engine = w.engine()
    (uid,) = w.new("low")
    w.sender.enqueue_new("high", delay_ms=SECOND)
    assert rings(w, "low")
    assert rings(w, "high"), "nothing is due yet, but an idle engine has to hear when"
    assert not rings(w, "high")
    engine.step(1)
    engine.step(0, Release(uid, 1))
    assert rings(w, "low"), "released"
    engine.step(1)
    w.store.sign_off(engine.engine)
    assert rings(w, "low"), "signed off"
    engine = w.engine()
    engine.step(1)
    w.reap(engine)
    assert rings(w, "low"), "reaped"
    engine = w.engine()
    engine.step(1)
    engine.step(0, Release(uid, 1))
    assert rings(w, "low"), "a suspect, released"
    w.clock.ms += SECOND
    engine.step(0)
    assert rings(w, "high"), "promoted"


def test_whoever_takes_a_suspect_rings_for_the_next(world: Make) -> None:
    w = world()
    died(w, "low", "low")
    assert rings(w, "low")
    w.engine().step(1)
    assert rings(w, "low")
    w.engine().step(1)
    assert not rings(w, "low")


def test_a_cancelled_job_is_nothing_to_ring_for(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    assert rings(w, "low")
    w.store.cancel(*w.sender.next(), uid, "low", "noop")
    w.engine().step(0)
    assert not rings(w, "low")
    assert w.queue("low") == Waiting(ready=(uid,), dropped=frozenset([uid]))
    assert w.engine().step(1) == ()
    assert w.queue("low") == Waiting()


def test_engines_that_come_and_go_do_each_job_once(world: Make) -> None:
    w = world()
    queued = w.new(*["low", "high"] * 50)
    done: list[str] = []
    for turn in range(40):
        engine: Driver = w.engine()
        claims = engine.step(7)
        some = claims[: len(claims) // 2 + 1]
        engine.step(0, *(Ack(claim.uid, 1) for claim in some))
        done += uids(some)
        if turn % 2:
            w.reap(engine, max_reaps=1000)
        else:
            w.store.sign_off(engine.engine)
    engine = w.engine()
    while claims := engine.step(9):
        claimed_by = engine.n
        engine.step(0, *(Ack(claim.uid, claimed_by) for claim in claims))
        done += uids(claims)
    assert sorted(done) == sorted(queued)
    assert w.dump().jobs == {}
