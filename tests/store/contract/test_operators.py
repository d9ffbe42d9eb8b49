"""Both stores: what operators do to jobs and queues."""

from __future__ import annotations

import attrs
import pytest

from tests.dump import Waiting
from tests.store.drive import line
from tests.store.world import SECOND, Make, World, bury, uids
from tests.support import cancelled_by, new_job
from trioq.core.calls import Admit, Taking
from trioq.core.settlements import DeadLetter, Park, RetryAt
from trioq.errors import TrioqBug

# -- cancel ------------------------------------------------------------------------------------


def test_a_cancelled_job_does_not_run_wherever_it_waited(world: Make) -> None:
    w = world()
    suspect, other, waiting = w.new("low", "low", "low")
    dying = w.engine("low")
    dying.step(3)
    dying.step(0, Park(waiting, 1, "low", "noop"))
    w.reap(dying)
    scheduled = w.sender.enqueue_new(delay_ms=SECOND)
    (ready,) = w.new("low")
    for uid in (suspect, waiting, scheduled, ready):
        assert cancelled_by(w.store, *w.sender.next(), uid, "low", "noop") == "cancelled"
        assert cancelled_by(w.store, *w.sender.next(), uid, "low", "noop") == "unknown"
    w.clock.ms += SECOND
    engine = w.engine()
    admits = (Admit("low", "noop", 9),)
    assert uids(engine.step(9, admits=admits)) + uids(engine.step(9, admits=admits)) == [other]
    left = w.dump()
    assert left.stats["cancelled"] == 4
    assert (left.parked, left.doors, left.queues) == ({}, {}, {})


def test_a_dead_job_that_is_edited_runs_with_its_new_payload(world: Make) -> None:
    w = world()
    one, other = bury(w, new_job(payload=b'{"a":1}', id="mine"), new_job(payload=b'{"b":1}'))
    before = w.dump()
    edited = new_job(payload=b'{"a":2,"x":"%s"}' % (b"y" * 10_000), id="mine", uid=one)
    write = w.sender.next()
    jobs = [(one, "low"), (other, "low")]
    assert w.store.revive(*write, jobs, {one: edited}).count == 2
    after = w.dump()
    assert (after.jobs[one], after.big[one]) == (edited.stored, edited.big)
    assert after.jobs[other] == before.jobs[other]
    assert after.history == before.history
    assert after.ids == before.ids
    third = attrs.evolve(edited, stored=before.jobs[one], big=b"")
    assert w.store.revive(*write, jobs, {one: third}).count == 2, "as it was answered before"
    assert w.dump() == after


def test_a_dead_job_whose_id_is_taken_stays_as_it_was(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job(payload=b'{"a":1}', id="mine"))
    taking = Taking(dead, "dead")
    w.store.enqueue(*w.sender.next(), [new_job(id="mine")], taking=taking)
    before = w.dump()
    edited = new_job(payload=b'{"a":2}', id="mine", uid=dead)
    assert w.store.revive(*w.sender.next(), [(dead, "low")], {dead: edited}).refused == (dead,)
    assert attrs.evolve(w.dump(), senders=before.senders) == before


def test_what_waits_for_its_time_is_due_at_once_and_keeps_its_attempts(world: Make) -> None:
    w = world()
    (retried,) = w.new("low")
    engine = w.engine("low")
    engine.step(1)
    engine.step(0, RetryAt(retried, 1, 60 * SECOND, 1, line("once")))
    later = w.sender.enqueue_new(delay_ms=60 * SECOND)
    assert uids(engine.step(9)) == []
    for uid in (retried, later):
        assert w.store.hasten(*w.sender.next(), "low", uid)
    claims = engine.step(9)
    assert {claim.uid: claim.attempts for claim in claims} == {retried: 1, later: 0}


def test_what_is_due_or_somewhere_else_is_not_hastened(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    (ready,) = w.new("low")
    later = w.sender.enqueue_new(delay_ms=SECOND)
    before = w.dump()
    for queue, uid in (("low", dead), ("low", ready), ("high", later), ("low", "f" * 32)):
        assert not w.store.hasten(*w.sender.next(), queue, uid)
    assert attrs.evolve(w.dump(), senders=before.senders) == before
    w.clock.ms += SECOND
    before = w.dump()
    assert not w.store.hasten(*w.sender.next(), "low", later), "its time has come"
    assert attrs.evolve(w.dump(), senders=before.senders) == before


def test_a_late_copy_hastens_no_later_attempt(world: Make) -> None:
    w = world()
    later = w.sender.enqueue_new(delay_ms=60 * SECOND)
    write = w.sender.next()
    assert w.store.hasten(*write, "low", later)
    engine = w.engine("low")
    engine.step(1)
    engine.step(0, RetryAt(later, engine.n, 60 * SECOND, 1, line("once")))
    assert w.store.hasten(*write, "low", later), "as it was answered before"
    assert uids(engine.step(9)) == []
    w.sender.enqueue_new("high")
    with pytest.raises(TrioqBug):
        w.store.hasten(*write, "low", later)
    assert uids(engine.step(9)) == []


def test_who_is_dead_or_not_there_is_not_cancelled(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    before = w.dump()
    assert cancelled_by(w.store, *w.sender.next(), dead, "low", "noop") == "dead"
    assert cancelled_by(w.store, *w.sender.next(), "f" * 32, "low", "noop") == "unknown"
    assert attrs.evolve(w.dump(), senders=before.senders) == before


def test_expiry_counts_right_after_one_of_the_first_was_cancelled(world: Make) -> None:
    w = world()
    queued = w.new("low", "low")
    engine = w.engine("low")
    engine.step(2)
    engine.step(0, *(Park(uid, 1, "low", "noop") for uid in queued))
    w.clock.ms += SECOND
    (late,) = w.new("low")
    engine.step(1)
    engine.step(0, Park(late, 3, "low", "noop"))
    cancelled_by(w.store, *w.sender.next(), queued[0], "low", "noop")
    assert w.store.expire_parked("low", "noop", SECOND, line("unknown")) == 1
    assert w.dump().dead.keys() == {queued[1]}, "the late one has only begun to wait"


def parked_two_and_later_one(w: World) -> list[str]:
    """Three jobs behind one door, the last of them a second after the others."""
    queued = w.new("low", "low", "low")
    engine = w.engine("low")
    engine.step(3)
    engine.step(0, *(Park(uid, 1, "low", "noop") for uid in queued[:2]))
    w.clock.ms += SECOND
    engine.step(0, Park(queued[2], 1, "low", "noop"))
    return queued


def test_expiry_counts_right_after_a_late_one_was_cancelled(world: Make) -> None:
    w = world()
    queued = parked_two_and_later_one(w)
    assert cancelled_by(w.store, *w.sender.next(), queued[2], "low", "noop") == "cancelled"
    assert w.store.expire_parked("low", "noop", SECOND, line("unknown")) == 2
    assert w.dump().dead.keys() == {*queued[:2]}


def test_a_door_is_forgotten_with_the_last_that_lies_behind_it(world: Make) -> None:
    """Which may be over: somebody passes over it then."""
    w = world()
    (uid,) = w.new("low")
    engine = w.engine("low")
    engine.step(1)
    known = engine.ask(0, Park(uid, 1, "low", "noop")).parked_version
    cancelled_by(w.store, *w.sender.next(), uid, "low", "noop")
    told = engine.ask(1, parked_version=known, admits=(Admit("low", "noop", 1),))
    assert (told.claims, told.parked) == ((), ())


# -- revive and purge --------------------------------------------------------------------------


def test_a_revived_job_has_all_its_attempts_and_its_history(world: Make) -> None:
    w = world()
    first, second = bury(w, new_job(), new_job("high"))
    (ready,) = w.new("low")
    assert w.store.revive(*w.sender.next(), [(first, "low"), (second, "high")]).count == 2
    left = w.dump()
    assert (left.dead, left.reasons, left.attempts) == ({}, {}, {})
    assert left.history.keys() == {first, second}
    assert w.store.wait(["high"], 0.001)
    claims = w.engine().step(9)
    assert uids(claims) == [second, ready, first]
    assert {claim.attempts for claim in claims} == {0}


def test_revival_forgives_the_crashes_too(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    assert w.reap(engine, max_reaps=1).dead == (uid,)
    w.store.revive(*w.sender.next(), [(uid, "low")])
    assert w.dump().reaps == {}


def test_only_the_dead_are_revived_or_forgotten_and_once(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    ready, running = w.new("low", "high")
    w.engine().step(1)
    everybody = [dead, ready, running, dead, "nobody"]
    assert w.store.revive(*w.sender.next(), [(uid, "low") for uid in everybody]).count == 1
    assert w.queue("low").ready == (ready, dead)
    before = w.dump()
    assert w.store.purge_dead(*w.sender.next(), everybody) == 0
    assert attrs.evolve(w.dump(), senders=before.senders) == before


def test_a_late_copy_does_not_revive_who_died_again(world: Make) -> None:
    w = world()
    (uid,) = bury(w, new_job())
    number = w.sender.next()
    assert w.store.revive(*number, [(uid, "low")]).count == 1
    engine = w.engine()
    engine.step(1)
    engine.step(0, DeadLetter(uid, 1, 1, "gave_up", line("no")))
    assert w.store.revive(*number, [(uid, "low")]).count == 1, "answered as it was"
    assert w.dump().dead.keys() == {uid}


def test_a_forgotten_dead_job_leaves_nothing(world: Make) -> None:
    w = world()
    gone, kept = bury(w, new_job(payload=b"{" + b" " * 9000 + b"}"), new_job())
    assert w.store.purge_dead(*w.sender.next(), [gone]) == 1
    left = w.dump()
    assert left.jobs.keys() == left.dead.keys() == left.reasons.keys() == {kept}
    assert left.big == {}


def test_purge_forgets_what_waits_a_page_at_a_time_and_leaves_the_rest(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    running, suspect, waiting = w.new("low", "low", "low")
    engine, dying = w.engine("low"), w.engine("low")
    engine.step(1)
    dying.step(2)
    dying.step(0, Park(waiting, 1, "low", "noop"))
    w.reap(dying)
    ready, cancelled, last = w.new("low", "low", "low")
    cancelled_by(w.store, *w.sender.next(), cancelled, "low", "noop")
    w.sender.enqueue_new(delay_ms=SECOND)
    (elsewhere,) = w.new("high")
    known = engine.ask(0).parked_version

    def purge(limit: int) -> int:
        return w.store.purge(*w.sender.next(), "low", ["noop"], limit)

    assert purge(2) == 2
    assert w.dump().jobs.keys().isdisjoint({suspect, ready})
    assert purge(2) == 1, "the other was cancelled already"
    assert purge(9) == 2
    assert purge(9) == 0
    left = w.dump()
    assert left.jobs.keys() == {dead, running, elsewhere}
    assert left.queues == {"high": Waiting(ready=(elsewhere,))}
    assert engine.ask(0, parked_version=known).parked == ()
    assert left.stats["purged"] == 5
    assert last not in left.jobs


def test_a_late_copy_of_a_purge_takes_nothing_that_came_later(world: Make) -> None:
    w = world()
    w.new("low")
    number = w.sender.next()
    assert w.store.purge(*number, "low", [], 10) == 1
    later = new_job()
    w.store.enqueue("another", 1, [later])
    assert w.store.purge(*number, "low", [], 10) == 1
    assert w.queue("low").ready == (later.uid,)


def test_expiry_counts_right_after_a_purge_of_some(world: Make) -> None:
    w = world()
    queued = parked_two_and_later_one(w)
    w.store.purge(*w.sender.next(), "low", ["noop"], 1)
    assert w.store.expire_parked("low", "noop", SECOND, line("unknown")) == 1
    assert w.dump().parked == {("low", "noop"): (queued[2],)}


def test_more_than_a_batch_is_refused_before_anything_is_done(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job())
    before = w.dump()
    with pytest.raises(TrioqBug, match="1000"):
        w.store.revive(*w.sender.next(), [(dead, "low")] * 1001)
    with pytest.raises(TrioqBug, match="1000"):
        w.store.purge_dead(*w.sender.next(), [dead] * 1001)
    with pytest.raises(TrioqBug, match="1000"):
        w.store.purge(*w.sender.next(), "low", [], 1001)
    assert w.dump() == before


# -- pause -------------------------------------------------------------------------------------


def test_nothing_is_claimed_from_a_paused_queue_and_what_runs_is_settled(world: Make) -> None:
    w = world()
    running, ready = w.new("low", "low")
    engine = w.engine()
    engine.step(1)
    assert w.store.pause(*w.sender.next(), "low", True)
    assert not w.store.pause(*w.sender.next(), "low", True)
    reply = engine.ask(9, RetryAt(running, 1, 0, 1, line("no")))
    assert (reply.claims, reply.left, reply.held) == ((), 0, 0)
    (high,) = w.new("high")
    assert uids(engine.step(9)) == [high]
    assert w.store.pause(*w.sender.next(), "low", False)
    assert not w.store.pause(*w.sender.next(), "low", False)
    assert uids(engine.step(9)) == [ready, running]


def test_resuming_rings(world: Make) -> None:
    w = world()
    w.store.pause(*w.sender.next(), "low", True)
    w.new("low")
    w.store.wait(["low"], 0.001)
    w.engine().step(1)
    assert not w.store.wait(["low"], 0.001), "nobody is called to a paused queue"
    w.store.pause(*w.sender.next(), "low", False)
    assert w.store.wait(["low"], 0.001)


def test_a_late_copy_does_not_pause_again(world: Make) -> None:
    w = world()
    number = w.sender.next()
    w.store.pause(*number, "low", True)
    w.store.pause("another", 1, "low", False)
    assert w.store.pause(*number, "low", True)
    assert w.dump().paused == frozenset()
