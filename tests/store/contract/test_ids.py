"""Both stores: what becomes of a job with a caller's id when another one comes with it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from tests.store.drive import Driver, line
from tests.store.world import SECOND, Make, World, bury, retry
from tests.support import new_job
from trioq.core.calls import (
    Claim,
    Enqueued,
    Enqueuer,
    Existing,
    IdKeep,
    MustWait,
    NewJob,
    Replaced,
    Replacing,
    Revived,
    StepReply,
    Taking,
    Unwanted,
)
from trioq.core.fair import FairKey
from trioq.core.limits import LimitSettings, take_of_id
from trioq.core.settlements import Ack, DeadLetter, Park, Release
from trioq.errors import QueueFull

ID = "report"
TAKE = take_of_id(ID)
MINUTE = 60 * SECOND


def enqueue(w: World, queue: str = "low", **options: object) -> NewJob:
    """A job with the id."""
    job = new_job(queue, id=ID, **options)  # type: ignore[arg-type]
    assert w.store.enqueue(*w.sender.next(), [job]) == Enqueued(1, {}, frozenset())
    return job


def replace(w: World, holder: NewJob, payload: bytes = b'{"n":2}', **options: object) -> Replaced:
    """It becomes a job with this payload."""
    job = new_job(holder.queue, payload=payload, id=ID, uid=holder.uid, **options)  # type: ignore[arg-type]
    return w.store.replace(*w.sender.next(), Replacing(job))


def superseding(w: World, uid: str) -> Replaced:
    """It is replaced by one that is to run instead of whatever runs."""
    job = new_job(id=ID, uid=uid)
    return w.store.replace(*w.sender.next(), Replacing(job, supersedes=True))


def take(w: World, taking: Taking, queue: str = "low", **options: object) -> tuple[Enqueued, str]:
    """Another job takes the id."""
    job = new_job(queue, payload=b'{"n":2}', id=ID, **options)  # type: ignore[arg-type]
    return w.store.enqueue(*w.sender.next(), [job], taking=taking), job.uid


def running(w: World, *queues: str, **options: object) -> tuple[Driver, Claim, NewJob]:
    """An engine that runs a job with the id."""
    job = enqueue(w, **options)
    engine = w.engine(*queues)
    return engine, engine.claim(), job


def again(engine: Driver, claim: Claim) -> Taking:
    return Taking(claim.uid, "again", engine.engine, engine.n, 0, b'{"why":"again"}')


def supersede(engine: Driver, claim: Claim) -> Taking:
    return attrs.evolve(again(engine, claim), how="supersede", summary=b'{"why":"superseded"}')


def owner(w: World) -> str | None:
    """Who has the id, or how that ended."""
    return w.dump().ids.get(ID)


# -- what waits is replaced --------------------------------------------------------------------


def ready(w: World) -> NewJob:
    return enqueue(w)


def suspect(w: World) -> NewJob:
    engine, _, job = running(w)
    assert w.reap(engine).moved == 1
    return job


def parked(w: World) -> NewJob:
    engine, claim, job = running(w)
    engine.step(0, Park(claim.uid, 1, "low", "noop"))
    return job


def keyed(w: World) -> NewJob:
    return enqueue(w, fair=FairKey('"a"'))


PLACES = pytest.mark.parametrize("lies", [ready, suspect, parked, keyed])


@PLACES
def test_who_waits_is_replaced_where_it_lies(world: Make, lies: Callable[[World], NewJob]) -> None:
    w = world()
    holder = lies(w)
    before = w.dump()
    big = b'{"n":"%s"}' % (b"x" * 9000)
    assert replace(w, holder, big, fair=holder.fair) == Replaced("replaced")
    after = w.dump()
    assert [*after.places()] == [*before.places()]
    assert after.jobs[holder.uid] != before.jobs[holder.uid]
    assert after.big == {holder.uid: big}
    assert replace(w, holder, fair=holder.fair) == Replaced("replaced")
    assert w.dump().big == {}


def test_who_waits_to_run_again_gets_another_time(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    engine.step(0, retry(claim, 1, MINUTE))
    assert replace(w, holder, delay_ms=SECOND) == Replaced("replaced")
    assert w.queue("low").scheduled == {holder.uid: w.clock() + SECOND}
    w.clock.ms += SECOND
    assert engine.claim().uid == holder.uid


def test_who_isnt_due_yet_is_due_when_the_last_one_says(world: Make) -> None:
    w = world()
    holder = enqueue(w, delay_ms=MINUTE)
    for delay_ms in (2 * MINUTE, 0, SECOND):
        assert replace(w, holder, delay_ms=delay_ms) == Replaced("replaced")
        assert w.queue("low").scheduled == {holder.uid: w.clock() + delay_ms}


@pytest.mark.parametrize("in_ms", [-SECOND, SECOND])
def test_or_at_the_moment_that_it_names(world: Make, in_ms: int) -> None:
    w = world()
    holder = enqueue(w, delay_ms=MINUTE)
    job = attrs.evolve(new_job(id=ID, uid=holder.uid), at_ms=w.clock() + in_ms)
    assert w.store.replace(*w.sender.next(), Replacing(job)) == Replaced("replaced")
    assert w.queue("low").scheduled == {holder.uid: w.clock() + max(0, in_ms)}


def test_an_idle_engine_hears_that_it_is_due_sooner(world: Make) -> None:
    w = world()
    holder = enqueue(w, delay_ms=MINUTE)
    assert w.store.wait(["low"], 0.01)
    replace(w, holder, delay_ms=SECOND)
    assert w.store.wait(["low"], 0.01)


def test_what_is_due_isnt_put_off(world: Make) -> None:
    w = world()
    holder = ready(w)
    assert replace(w, holder, delay_ms=MINUTE) == Replaced("replaced")
    assert w.queue("low").ready == (holder.uid,)


def test_it_is_due_at_its_latest_however_often_it_is_replaced(world: Make) -> None:
    w = world()
    keep = IdKeep(0, max_wait_ms=5 * SECOND)
    holder, latest = enqueue(w, delay_ms=2 * SECOND, keep=keep), w.clock() + 5 * SECOND
    for _ in range(4):
        w.clock.ms += 1500
        assert replace(w, holder, delay_ms=2 * SECOND, keep=keep) == Replaced("replaced")
        due = min(w.clock() + 2 * SECOND, latest)
        assert w.queue("low").scheduled == {holder.uid: due}


def test_what_it_takes_is_what_the_last_one_takes(world: Make) -> None:
    w = world()
    holder = enqueue(w, takes=("all", "one:1"))
    replace(w, holder, takes=("one:2",))
    assert w.dump().flow == {holder.uid: "\none:2"}
    replace(w, holder)
    assert w.dump().flow == {}


def test_before_it_is_due_it_may_get_another_turn(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w, fair=FairKey('"a"'))
    engine.step(0, retry(claim, 1, SECOND))
    assert replace(w, holder, fair=FairKey('"b"', 2.0)) == Replaced("replaced")
    assert w.dump().flow == {holder.uid: ' 2 "b"'}


@pytest.mark.parametrize("other", [None, FairKey('"b"'), FairKey('"a"', 2.0)])
def test_who_waits_for_a_turn_isnt_given_anothers(world: Make, other: FairKey | None) -> None:
    w = world()
    holder = keyed(w)
    before = w.dump()
    assert replace(w, holder, fair=other) == Replaced("differs")
    assert attrs.evolve(w.dump(), senders={}) == attrs.evolve(before, senders={})


def limited(w: World, *takes: str) -> NewJob:
    """It waits for the one slot of one."""
    w.store.set_limits({"one": LimitSettings(concurrency=1, keyed=True)}, 1)
    w.sender.enqueue_new(takes=("one:1",))
    engine = w.engine()
    engine.claim()
    holder = enqueue(w, takes=takes)
    assert not engine.step(1)
    return holder


def test_who_waits_for_a_limit_waits_on_if_it_takes_it_still(world: Make) -> None:
    w = world()
    holder = limited(w, "one:1")
    assert replace(w, holder, takes=("all", "one:1")) == Replaced("replaced")
    assert w.dump().rooms == {("low", "one:1"): (holder.uid,)}
    assert not w.engine().step(1)


def test_who_waits_for_a_limit_and_doesnt_take_it_any_more_is_next(world: Make) -> None:
    w = world()
    holder = limited(w, "one:1")
    w.sender.enqueue_new()
    assert replace(w, holder, takes=("one:2",)) == Replaced("replaced")
    assert w.store.wait(["low"], 0.01)
    assert w.engine().claim().uid == holder.uid


def test_who_waited_for_its_turn_and_then_for_a_limit_is_next_too(world: Make) -> None:
    w = world()
    w.store.set_limits({"one": LimitSettings(concurrency=1)}, 1)
    engine, _, _ = running(w, takes=("one",))
    w.sender.enqueue_new(takes=("one",), fair=FairKey('"a"'), id="other")
    assert not engine.step(1)
    (uid,) = w.dump().flow.keys() - w.dump().took.keys()
    job = new_job(id="other", uid=uid, fair=FairKey('"a"'))
    assert w.store.replace(*w.sender.next(), Replacing(job)) == Replaced("replaced")
    assert engine.claim().uid == uid


def test_who_runs_isnt_replaced_and_who_runs_it_is_told(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    assert replace(w, holder) == Replaced("running", engine.engine, 1)
    engine.step(0, Ack(claim.uid, 1))
    assert replace(w, holder) == Replaced("moved")


@pytest.mark.parametrize("place", range(3))
def test_who_runs_with_others_of_a_step_isnt_replaced(world: Make, place: int) -> None:
    w = world()
    jobs = [new_job(id=ID if i == place else None) for i in range(3)]
    w.sender.enqueue(*jobs)
    engine = w.engine()
    engine.step(1)
    engine.step(3)
    step = 1 if place == 0 else 2
    assert replace(w, jobs[place]) == Replaced("running", engine.engine, step)


def test_who_is_dead_isnt_replaced(world: Make) -> None:
    w = world()
    job = new_job(id=ID)
    bury(w, job)
    assert replace(w, job) == Replaced("dead")


def test_whose_id_is_anothers_isnt_replaced(world: Make) -> None:
    w = world(id_retention_ms=0)
    first = enqueue(w)
    w.store.cancel(*w.sender.next(), [Unwanted(first.uid, "low", "noop")])
    second = enqueue(w)
    assert replace(w, first) == Replaced("moved")
    assert replace(w, second) == Replaced("replaced")


def test_a_late_copy_replaces_nothing(world: Make) -> None:
    w = world()
    holder = enqueue(w, delay_ms=MINUTE)
    number = w.sender.next()
    job = new_job(id=ID, uid=holder.uid, payload=b'{"n":2}', delay_ms=SECOND)
    assert w.store.replace(*number, Replacing(job)) == Replaced("replaced")
    w.clock.ms += 10
    before = w.dump()
    assert w.store.replace(*number, Replacing(job)) == Replaced("replaced")
    assert w.dump() == before


# -- what runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [again, supersede])
def test_the_next_run_of_an_id_waits_for_the_end_of_the_one_before(
    world: Make, how: Callable[[Driver, Claim], Taking]
) -> None:
    w = world()
    engine, claim, holder = running(w)
    done, uid = take(w, how(engine, claim))
    assert (done, owner(w)) == (Enqueued(1, {}, frozenset()), uid)
    assert not engine.step(1)
    assert engine.ask(1, Ack(holder.uid, 1)).claims[0].uid == uid
    assert owner(w) == uid


@pytest.mark.parametrize("delay_ms", [0, SECOND])
def test_it_waits_too_where_it_was_to_come_later(world: Make, delay_ms: int) -> None:
    w = world()
    engine, claim, _ = running(w)
    _, uid = take(w, again(engine, claim), delay_ms=delay_ms, fair=FairKey('"a"'))
    w.clock.ms += delay_ms
    assert not engine.step(1)
    assert engine.ask(1, Ack(claim.uid, 1)).claims[0].uid == uid


def test_who_is_superseded_is_told_to_end(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w)
    assert not w.store.wait([], 0.01, engine.engine)
    take(w, supersede(engine, claim))
    assert w.store.wait([], 0.01, engine.engine)
    (ask,) = engine.ask().asks
    assert (ask.uid, ask.step, ask.summary) == (claim.uid, 1, b'{"why":"superseded"}')


def test_who_runs_again_isnt_told_and_runs_to_its_end(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w)
    take(w, again(engine, claim))
    assert not w.store.wait([], 0.01, engine.engine)
    assert engine.ask().asks == ()
    assert engine.ask(0, asked=99).asks == (), "it heard of more than there were"
    engine.step(0, Ack(claim.uid, 1, b"{}"))
    assert w.dump().stats["done"] == 1


@pytest.mark.parametrize("how", [again, supersede])
@pytest.mark.parametrize("back", ["retry", "release", "park", "reap", "sign off"])
def test_an_older_payload_never_runs_after_the_newest(
    world: Make, how: Callable[[Driver, Claim], Taking], back: str
) -> None:
    w = world()
    engine, claim, holder = running(w)
    _, uid = take(w, how(engine, claim))
    if back == "reap":
        assert w.reap(engine).cancelled == (holder.uid,)
    elif back == "sign off":
        w.store.sign_off(engine.engine)
    else:
        ways = {
            "retry": retry(claim, 1),
            "release": Release(claim.uid, 1),
            "park": Park(claim.uid, 1, "low", "noop"),
        }
        assert engine.ask(0, ways[back]).cancelled == {holder.uid}
    assert (owner(w), w.dump().jobs.keys()) == (uid, {uid})
    assert w.engine().claim().uid == uid


def test_what_an_engine_finds_out_that_it_takes_besides_comes_to_that(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w)
    take(w, again(engine, claim))
    (second,) = engine.ask(1, Ack(claim.uid, 1)).claims
    assert second.takes == (TAKE,)
    engine.step(0, Release(second.uid, engine.n, takes=(*second.takes, "all")))
    (second,) = engine.step(1)
    assert second.takes == (TAKE, "all")
    take(w, Taking(second.uid, "again", engine.engine, engine.n))
    assert not engine.step(1)


def test_the_next_run_is_replaced_and_none_is_added(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w)
    _, uid = take(w, again(engine, claim))
    assert not engine.step(1)
    holder = new_job(id=ID, uid=uid)
    assert replace(w, holder) == Replaced("replaced")
    assert w.dump().rooms == {("low", TAKE): (uid,)}, "it waits on"
    assert engine.ask(1, Ack(claim.uid, 1)).claims[0].uid == uid


def test_who_replaces_the_next_run_is_told_which_it_waits_for(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w, takes=("one:1",))
    job = new_job(id="another")
    w.sender.enqueue(job)
    (other,) = engine.step(1)
    w.store.enqueue(
        *w.sender.next(), [new_job(id="another")],
        taking=Taking(other.uid, "again", engine.engine, engine.n),
    )  # fmt: skip
    _, uid = take(w, Taking(claim.uid, "again", engine.engine, 1))
    assert superseding(w, uid) == Replaced("replaced", after=holder.uid)
    assert replace(w, new_job(id=ID, uid=uid)) == Replaced("replaced"), "nobody asked"
    engine.step(0, Ack(claim.uid, 1))
    assert superseding(w, uid) == Replaced("replaced"), "it has ended"


def test_which_it_waits_for_is_told_of_what_waits_for_nothing(world: Make) -> None:
    w = world()
    assert superseding(w, enqueue(w).uid) == Replaced("replaced")


def test_a_new_payload_has_all_its_attempts(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    engine.step(0, retry(claim, 1))
    assert replace(w, holder) == Replaced("replaced")
    assert (w.dump().attempts, len(w.dump().history)) == ({}, 1)
    w.clock.ms += MINUTE
    (claim,) = engine.step(1)
    assert (claim.uid, claim.attempts) == (holder.uid, 0)
    w.reap(engine)
    assert w.dump().reaps == {holder.uid: 1}
    assert replace(w, holder) == Replaced("replaced")
    assert w.dump().reaps == {}
    assert w.engine().claim().suspect, "it stays where it is"


def test_runs_of_an_id_follow_one_another(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w)
    step = engine.n
    for _ in range(3):
        taking = Taking(claim.uid, "again", engine.engine, step)
        _, uid = take(w, taking)
        assert not engine.step(1)
        assert w.dump().slots == {TAKE: 1}
        (claim,) = engine.step(1, Ack(claim.uid, step))
        step = engine.n
        assert claim.uid == uid


def test_who_is_cancelled_loudly_after_a_quiet_ask_hears_of_it(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    take(w, again(engine, claim))
    unwanted = Unwanted(holder.uid, "low", "noop", b'{"why":"cancelled"}')
    assert w.store.cancel(*w.sender.next(), [unwanted]) == ["asked"]
    (ask,) = engine.ask().asks
    assert ask.summary == b'{"why":"cancelled"}'


def test_who_was_told_to_end_is_still_told_after_a_quiet_ask(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    unwanted = Unwanted(holder.uid, "low", "noop", b'{"why":"cancelled"}')
    w.store.cancel(*w.sender.next(), [unwanted])
    take(w, again(engine, claim))
    (ask,) = engine.ask().asks
    assert ask.summary == b'{"why":"cancelled"}'


def test_who_isnt_as_it_was_seen_keeps_its_id(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    taking = again(engine, claim)
    before = w.dump()
    odd = (
        attrs.evolve(taking, step=2),
        attrs.evolve(taking, boot="e.gone"),
        attrs.evolve(taking, uid="f" * 32),
        Taking(holder.uid, "dead"),
    )
    for each in odd:
        assert take(w, each)[0] == Enqueued(0, {}, frozenset(), moved=True)
        assert attrs.evolve(w.dump(), senders={}) == attrs.evolve(before, senders={})
    engine.step(0, Ack(holder.uid, 1))
    assert take(w, taking)[0].moved, "it has ended"


def test_taken_is_once_however_often_it_is_asked_for(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w)
    job, number = new_job(id=ID), w.sender.next()
    for _ in range(2):
        answer = w.store.enqueue(*number, [job], taking=again(engine, claim))
        assert answer == Enqueued(1, {}, frozenset())
    odd, number = again(engine, claim), w.sender.next()
    for _ in range(2):
        assert w.store.enqueue(*number, [new_job(id=ID)], taking=odd).moved
    assert len(w.dump().jobs) == 2


def test_two_who_take_it_at_the_same_time_are_two_runs_at_most(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w)
    seen = again(engine, claim)
    _, uid = take(w, seen)
    assert take(w, seen)[0].moved
    assert owner(w) == uid


def test_where_there_is_no_room_nothing_changes(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full={"low": "wait"})
    engine, claim, holder = running(w)
    w.sender.enqueue_new()
    with pytest.raises(QueueFull):
        take(w, again(engine, claim))
    assert owner(w) == holder.uid
    job = new_job(id=ID)
    taking = again(engine, claim)
    with pytest.raises(MustWait) as full:
        w.store.enqueue(*w.sender.next(), [job], who=Enqueuer("c"), taking=taking)
    assert owner(w) == holder.uid
    engine.step(1)
    who = Enqueuer("c", full.value.nth)
    assert w.store.enqueue(*w.sender.next(), [job], who=who, taking=taking).taken == 1
    assert owner(w) == job.uid


def test_the_run_before_ends_as_it_would_and_tells_nothing_of_the_id(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    _, uid = take(w, again(engine, claim))
    (second,) = engine.ask(1, Ack(holder.uid, 1)).claims
    assert w.dump().ids == {ID: uid}
    engine.step(0, Ack(second.uid, engine.n))
    assert owner(w) == f"done:{uid}"


def test_a_run_before_that_is_dead_is_revived_once_nobody_has_its_id(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    _, uid = take(w, again(engine, claim))
    (second,) = engine.step(1, DeadLetter(claim.uid, 1, 1, "failures", line("no")))
    second_step = engine.n
    revive = [(holder.uid, "low")]
    assert w.store.revive(*w.sender.next(), revive) == Revived(0, (holder.uid,))
    assert (owner(w), w.dump().dead.keys()) == (uid, {holder.uid})
    engine.step(0, Ack(second.uid, second_step))
    assert w.store.revive(*w.sender.next(), revive) == Revived(1)
    assert owner(w) == holder.uid
    assert w.dump().ended == {}
    assert w.dump().flow[holder.uid] == f"\n{TAKE}", "and it waits for who runs by then"


def test_who_runs_is_tried_again_where_its_next_run_is_gone(world: Make) -> None:
    w = world()
    engine, claim, holder = running(w)
    _, pending = take(w, again(engine, claim), keep=IdKeep(0))
    w.store.cancel(*w.sender.next(), [Unwanted(pending, "low", "noop")])
    assert owner(w) is None
    assert not engine.ask(0, retry(claim, 1, SECOND)).cancelled
    assert w.queue("low").scheduled == {holder.uid: w.clock() + SECOND}
    assert owner(w) == holder.uid
    assert replace(w, holder) == Replaced("replaced")


@pytest.mark.parametrize("how", ["reaped", "signed off"])
def test_it_is_given_back_by_an_engine_that_ends_likewise(world: Make, how: str) -> None:
    w = world()
    engine, claim, holder = running(w)
    _, pending = take(w, again(engine, claim), keep=IdKeep(0))
    w.store.cancel(*w.sender.next(), [Unwanted(pending, "low", "noop")])
    if how == "reaped":
        w.reap(engine)
    else:
        w.store.sign_off(engine.engine)
    assert (owner(w), w.dump().jobs.keys()) == (holder.uid, {holder.uid})


def test_but_not_where_another_job_has_its_id_by_then(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w)
    _, pending = take(w, again(engine, claim), keep=IdKeep(0))
    w.store.cancel(*w.sender.next(), [Unwanted(pending, "low", "noop")])
    newer = enqueue(w, takes=(TAKE,))
    assert engine.ask(0, retry(claim, 1)).cancelled == {claim.uid}
    assert (owner(w), w.dump().jobs.keys()) == (newer.uid, {newer.uid})


def test_one_run_of_an_id_at_a_time_whoever_has_that_and_nobody_declares_it(world: Make) -> None:
    w = world()
    engine, claim, _ = running(w, takes=(TAKE,))
    _, pending = take(w, again(engine, claim), takes=(TAKE,), keep=IdKeep(0))
    assert w.store.cancel(*w.sender.next(), [Unwanted(pending, "low", "noop")]) == ["cancelled"]
    third = enqueue(w, takes=(TAKE,))
    assert not engine.step(2)
    assert w.dump().rooms == {("low", TAKE): (third.uid,)}
    assert replace(w, third, takes=(TAKE,)) == Replaced("replaced")
    assert w.dump().flow[third.uid] == f"\n{TAKE}", "it takes that once"
    assert [c.uid for c in engine.ask(1, Ack(claim.uid, 1)).claims] == [third.uid]


# -- what is dead --------------------------------------------------------------------------------


def test_a_dead_job_can_lose_its_id(world: Make) -> None:
    w = world()
    dead = new_job(id=ID)
    bury(w, dead)
    done, uid = take(w, Taking(dead.uid, "dead"))
    assert (done, owner(w)) == (Enqueued(1, {}, frozenset()), uid)
    assert w.dump().dead.keys() == {dead.uid}
    assert w.engine().claim().uid == uid
    w.store.purge_dead(*w.sender.next(), [dead.uid])
    assert owner(w) == uid


def test_so_can_one_that_is_gone_and_remembered(world: Make) -> None:
    w = world()
    dead = new_job(id=ID)
    bury(w, dead)
    w.store.purge_dead(*w.sender.next(), [dead.uid])
    assert owner(w) == f"dead:{dead.uid}"
    done, uid = take(w, Taking(dead.uid, "dead"))
    assert (done, owner(w)) == (Enqueued(1, {}, frozenset()), uid)
    assert w.dump().ended == {}
    assert take(w, Taking(dead.uid, "dead"))[0].moved


def test_one_that_was_revived_without_its_id_isnt_replaced(world: Make) -> None:
    w = world()
    dead = new_job(id=ID)
    bury(w, dead)
    take(w, Taking(dead.uid, "dead"))
    w.store.revive(*w.sender.next(), [(dead.uid, "low")])
    assert replace(w, dead) == Replaced("moved")


def test_one_that_was_revived_keeps_it(world: Make) -> None:
    w = world()
    dead = new_job(id=ID)
    bury(w, dead)
    w.store.revive(*w.sender.next(), [(dead.uid, "low")])
    assert take(w, Taking(dead.uid, "dead"))[0].moved


# -- how long it is remembered -------------------------------------------------------------------


def ended(w: World, keep: IdKeep | None) -> str:
    """A job with the id that is done."""
    engine, claim, _ = running(w, keep=keep)
    engine.step(0, Ack(claim.uid, 1))
    return claim.uid


def test_an_id_can_be_free_at_its_jobs_end(world: Make) -> None:
    w = world()
    ended(w, IdKeep(0))
    assert (w.dump().ids, w.dump().ended) == ({}, {})
    enqueue(w)


@pytest.mark.parametrize(
    ("keep", "for_ms"),
    [
        (None, MINUTE),
        (IdKeep(), MINUTE),
        (IdKeep(SECOND), SECOND),
        (IdKeep(0, cooldown_ms=10 * SECOND), 10 * SECOND),
        (IdKeep(20 * SECOND, cooldown_ms=10 * SECOND), 20 * SECOND),
        (IdKeep(None, cooldown_ms=2 * MINUTE), 2 * MINUTE),
    ],
)
def test_or_be_remembered_as_long_as_it_says(world: Make, keep: IdKeep | None, for_ms: int) -> None:
    w = world(id_retention_ms=MINUTE)
    uid = ended(w, keep)
    w.clock.ms += for_ms - 1
    (job,) = [new_job(id=ID)]
    known = w.store.enqueue(*w.sender.next(), [job]).existing
    assert known == {0: Existing(uid, "done")}
    w.clock.ms += 1
    enqueue(w)


def test_the_last_one_that_came_begins_the_cooldown_anew(world: Make) -> None:
    w = world()
    keep = IdKeep(0, cooldown_ms=10 * SECOND)
    holder = enqueue(w, delay_ms=SECOND, keep=keep)
    w.clock.ms += 5 * SECOND
    replace(w, holder, keep=keep)
    engine = w.engine()
    engine.step(0, Ack(engine.claim().uid, 1))
    assert w.dump().ended == {ID: w.clock() + 10 * SECOND}


def test_who_is_in_line_for_room_is_known_by_its_id_alone(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full={"low": "wait"})
    w.sender.enqueue_new()
    job = new_job(id=ID, keep=IdKeep(0))
    with pytest.raises(MustWait):
        w.store.enqueue(*w.sender.next(), [job], who=Enqueuer("c"))
    (place,) = w.dump().line["low"]
    assert place.endswith(f" {ID}")


def test_what_an_id_is_taken_for_is_known_of_long_ones_too(world: Make) -> None:
    w = world()
    long = "ü" * 500
    job = new_job(id=long)
    w.sender.enqueue(job)
    engine = w.engine()
    claim = engine.claim()
    after = new_job(id=long)
    w.store.enqueue(*w.sender.next(), [after], taking=again(engine, claim))
    assert not engine.step(1)
    reply = engine.ask(1, Ack(claim.uid, 1))
    assert isinstance(reply, StepReply)
    assert [each.uid for each in reply.claims] == [after.uid]
