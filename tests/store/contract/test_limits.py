"""Both stores: what limits the starts of jobs, and what becomes of those that wait for it."""

from __future__ import annotations

import pytest

from tests.store.drive import line
from tests.store.world import SECOND, Make, World
from tests.support import new_job
from trioq.core.calls import Admit, Claim, StepReply, Unwanted
from trioq.core.fair import FairKey
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, Cancel, DeadLetter, Park, Release, RetryAt, Settlement

ONE = LimitSettings(concurrency=1)
TWO = LimitSettings(concurrency=2)


def limited(make: Make, **limits: LimitSettings) -> World:
    w = make()
    assert w.store.set_limits(limits, 1) == frozenset()
    return w


def uids(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.uid for claim in claims]


def enqueued(w: World, count: int, *takes: str, queue: str = "low") -> list[str]:
    return w.sender.enqueue(*(new_job(queue, takes=takes) for _ in range(count)))


def test_no_more_run_than_a_limit_admits_whoever_claims(world: Make) -> None:
    w = limited(world, all=TWO)
    jobs = enqueued(w, 5, "all")
    first, second = w.engine(), w.engine()
    assert uids(first.step(1)) + uids(second.step(4)) == jobs[:2]
    assert first.step(4) == second.step(4) == ()
    assert w.dump().rooms == {("low", "all"): tuple(jobs[2:])}


def test_a_job_of_a_limit_that_nobody_knows_is_not_limited(world: Make) -> None:
    w = world()
    enqueued(w, 6, "strange")
    engine = w.engine()
    assert len(engine.step(3)) == 3
    w.store.set_limits({"all": ONE}, 1)
    assert len(engine.step(3)) == 3
    assert w.dump().slots == {"strange": 6}, "somebody may tell of it at any time"


@pytest.mark.direct  # where an answer is lost, so is what it tells of waits
def test_a_claim_tells_that_a_limit_had_refused_its_job(world: Make) -> None:
    w = limited(world, all=ONE)
    first, second, third = enqueued(w, 3, "all")
    engine = w.engine()
    reply = engine.ask(2)
    assert (uids(reply.claims), reply.waits) == ([first], {})
    (plain,) = enqueued(w, 1)
    reply = engine.ask(2, Ack(first, 1))
    assert (uids(reply.claims), reply.waits) == ([second, plain], {second: "limited"})
    assert engine.ask(1).waits == {}
    keyed = new_job("low", takes=("all",), fair=FairKey('"a"'))
    w.sender.enqueue(keyed)
    reply = engine.ask(2, Ack(second, 2))
    assert (uids(reply.claims), reply.waits) == ([third], {third: "limited"})
    reply = engine.ask(2, Ack(third, 4))
    assert (uids(reply.claims), reply.waits) == ([keyed.uid], {keyed.uid: "limited"})


@pytest.mark.direct  # where an answer is lost, so is what it tells of waits
def test_what_a_job_had_waited_for_is_told_once(world: Make) -> None:
    w = limited(world, all=ONE)
    first, second = enqueued(w, 2, "all")
    engine = w.engine()
    engine.step(2)
    step = engine.make(1, Ack(first, 1))
    told, again = w.store.step(step), w.store.step(step)
    assert isinstance(told, StepReply)
    assert isinstance(again, StepReply)
    assert told.waits == {second: "limited"}
    assert (again.claims, again.waits) == (told.claims, {})


def test_each_value_of_a_key_has_slots_of_its_own(world: Make) -> None:
    w = limited(world, tenant=ONE)
    acme, *_ = enqueued(w, 2, 'tenant:"acme"')
    other, *_ = enqueued(w, 2, 'tenant:"other"')
    assert uids(w.engine().step(4)) == [acme, other]


def ends(w: World, verb: str, claim: Claim) -> Settlement:
    uid = claim.uid
    return {
        "ack": lambda: Ack(uid, 1, b"{}"),
        "retry": lambda: RetryAt(uid, 1, SECOND, 1, line("no")),
        "dead": lambda: DeadLetter(uid, 1, 1, "failures", line("no")),
        "park": lambda: Park(uid, 1, "low", "noop"),
        "cancel": lambda: Cancel(uid, 1, b"{}"),
    }[verb]()


@pytest.mark.parametrize("verb", ["ack", "retry", "dead", "park", "cancel"])
def test_a_slot_is_handed_on_by_the_step_that_frees_it(world: Make, verb: str) -> None:
    w = limited(world, all=ONE)
    _, second, third = enqueued(w, 3, "all")
    engine = w.engine()
    (claim,) = engine.step(3)
    assert uids(engine.step(3, ends(w, verb, claim))) == [second]
    assert w.dump().rooms == {("low", "all"): (third,)}
    assert w.dump().took == {second: ("all",)}


def test_slots_that_are_freed_together_are_handed_on_together(world: Make) -> None:
    w = limited(world, all=TWO, some=TWO)
    first, second = enqueued(w, 2, "all", "some")
    third, fourth, _ = enqueued(w, 3, "all", "some")
    engine = w.engine()
    assert uids(engine.step(5)) == [first, second]
    acks = (Ack(first, 1, b"{}"), Ack(second, 1, b"{}"))
    assert uids(engine.step(5, *acks)) == [third, fourth]
    assert w.dump().slots == {"all": 2, "some": 2}


def test_who_is_given_back_waits_by_its_age(world: Make) -> None:
    w = limited(world, all=ONE)
    first, second = enqueued(w, 2, "all")
    engine = w.engine()
    engine.step(2)
    # Whoever has waited goes before; who comes back was there before those that wait now.
    assert uids(engine.step(2, Release(first, 1))) == [second]
    assert w.dump().rooms == {("low", "all"): (first,)}
    (third,) = enqueued(w, 1, "all")
    engine.step(2)
    assert w.dump().rooms == {("low", "all"): (first, third)}
    assert uids(engine.step(2, Ack(second, 2))) == [first]


def test_a_job_takes_all_of_its_limits_or_none(world: Make) -> None:
    w = limited(world, a=ONE, b=ONE, c=ONE, slow=LimitSettings(interval_us=60_000_000))
    (holds_b,) = enqueued(w, 1, "b")
    (both,) = enqueued(w, 1, "a", "b")
    (alone,) = enqueued(w, 1, "a", "slow")
    engine = w.engine()
    # Who waits for b doesn't hold a.
    assert uids(engine.step(3)) == [holds_b, alone]
    assert w.dump().rooms == {("low", "b"): (both,)}
    assert engine.step(3, Ack(holds_b, 1)) == ()
    assert w.dump().rooms == {("low", "a"): (both,)}
    assert w.dump().slots == {"a": 1, "slow": 1}
    (late,) = enqueued(w, 1, "slow", "c")
    # No permit: it takes no slot.
    assert uids(engine.step(3, Ack(alone, 1))) == [both]
    assert w.dump().rooms == {("low", "slow"): (late,)}
    assert w.dump().slots == {"a": 1, "b": 1}


def test_starts_come_at_their_rate_and_burst(world: Make) -> None:
    w = limited(world, slow=LimitSettings(interval_us=1_000_000, burst=2))
    jobs = enqueued(w, 5, "slow")
    engine = w.engine()
    assert uids(engine.step(5)) == jobs[:2]
    told = engine.ask(5)
    assert told.claims == ()
    assert told.next_due_ms == SECOND
    w.clock.ms += SECOND - 1
    assert engine.step(5) == ()
    w.clock.ms += 1
    assert uids(engine.step(5)) == jobs[2:3]
    w.clock.ms += 60 * SECOND
    assert uids(engine.step(5)) == jobs[3:]
    w.clock.ms += 60 * SECOND
    enqueued(w, 1, "slow")
    engine.step(1)
    assert len(w.dump().tats) == 1


def test_a_part_of_the_time_between_two_starts_lets_nobody_start(world: Make) -> None:
    w = limited(world, slow=LimitSettings(interval_us=1_000_000, burst=3))
    jobs = enqueued(w, 6, "slow")
    engine = w.engine()
    assert uids(engine.step(6)) == jobs[:3]
    w.clock.ms += 2 * SECOND - 1
    assert uids(engine.step(6)) == jobs[3:4]
    w.clock.ms += 1
    assert uids(engine.step(6)) == jobs[4:5]


def test_what_a_reply_has_no_room_for_takes_nothing(world: Make) -> None:
    w = world(claim_bytes=400)
    w.store.set_limits({"all": LimitSettings(concurrency=9)}, 1)
    big = b'{"a":"%s"}' % (b"x" * 200)
    jobs = w.sender.enqueue(*(new_job(payload=big, takes=("all",)) for _ in range(3)))
    engine = w.engine()
    for n, uid in enumerate(jobs, 1):
        assert uids(engine.step(3)) == [uid]
        assert w.dump().slots == {"all": n}


def test_a_limit_that_rests_lets_nobody_start_until_then(world: Make) -> None:
    w = limited(world, all=TWO, slow=LimitSettings(interval_us=1_000_000, burst=3))
    first, second, *rest = enqueued(w, 4, "all", "slow")
    engine, other = w.engine(), w.engine()
    assert [claim.takes for claim in engine.step(2)] == [("all", "slow")] * 2
    told = engine.ask(4, Release(first, 1, "slow", 60 * SECOND))
    # Far longer than a rate's clock may be ahead; and in their places.
    assert (told.claims, told.next_due_ms) == ((), 60 * SECOND)
    assert w.dump().rooms == {("low", "slow"): (first, *rest)}
    w.clock.ms += 60 * SECOND - 1
    assert other.step(4) == ()
    w.clock.ms += 1
    assert uids(other.step(4)) == [first]
    assert uids(engine.step(4, Ack(second, 1))) == rest[:1]
    assert w.dump().queues.get("low") is None, "no attempt, and no second life"


def test_a_limit_of_slots_rests_too_and_a_shorter_rest_ends_no_longer_one(world: Make) -> None:
    w = limited(world, each=TWO)
    first, second, third = enqueued(w, 3, "each:1")
    (elsewhere,) = enqueued(w, 1, "each:2")
    engine = w.engine()
    assert uids(engine.step(4)) == [first, second, elsewhere]
    engine.step(4, Release(first, 1, "each:1", 9 * SECOND))
    engine.step(4, Release(second, 1, "each:1", SECOND))
    (another,) = enqueued(w, 1, "each:2")
    assert uids(engine.step(4)) == [another], "of one value alone"
    w.clock.ms += 9 * SECOND - 1
    assert engine.step(4) == ()
    w.clock.ms += 1
    assert uids(engine.step(4)) == [first, second]
    assert uids(engine.step(4, Ack(first, 6))) == [third]


def test_all_limits_rest_that_one_step_says_so_of(world: Make) -> None:
    w = limited(world, a=TWO, b=TWO)
    jobs = [*enqueued(w, 1, "a"), *enqueued(w, 1, "b")]
    engine = w.engine("low")
    engine.step(2)
    back = [
        Release(uid, 1, rests=take, rest_ms=SECOND)
        for uid, take in zip(jobs, ("a", "b"), strict=True)
    ]
    assert engine.step(2, *back) == ()
    w.clock.ms += SECOND
    assert uids(engine.step(2)) == jobs


def test_what_a_job_takes_may_be_told_with_its_claim(world: Make) -> None:
    w = limited(world, all=ONE)
    plain = enqueued(w, 3)
    engine = w.engine()
    assert [claim.takes for claim in engine.step(3)] == [(), (), ()]
    back = [Release(uid, 1, takes=("all", "other")) for uid in plain]
    # The step that is told doesn't claim one without it; and in their places.
    claims = engine.step(3, *back)
    assert [(claim.uid, claim.takes, claim.attempts) for claim in claims] == [
        (plain[0], ("all", "other"), 0)
    ]
    assert w.dump().rooms == {("low", "all"): tuple(plain[1:])}
    assert w.dump().took == {plain[0]: ("all", "other")}


def test_whose_takes_are_told_keeps_its_turn(world: Make) -> None:
    w = limited(world, all=ONE)
    jobs = w.sender.enqueue(*(new_job(fair=FairKey('"a"')) for _ in range(2)))
    engine = w.engine()
    assert uids(engine.step(1)) == jobs[:1]
    row = w.dump().flow[jobs[0]]
    engine.step(0, Release(jobs[0], 1, takes=("all",)))
    assert w.dump().flow[jobs[0]] == row + "\nall"
    assert uids(engine.step(2)) == jobs
    assert w.dump().took == {jobs[0]: ("all",)}


def test_who_holds_no_claim_lets_nothing_rest(world: Make) -> None:
    w = limited(world, all=ONE)
    first, second = enqueued(w, 2, "all")
    engine, other = w.engine(), w.engine()
    assert uids(other.step(1)) == [first]
    told = engine.ask(1, Release(first, 1, "all", 9 * SECOND))
    assert told.refused == {first}
    assert uids(other.step(1, Ack(first, 1))) == [second]


def test_rests_that_are_over_are_forgotten(world: Make) -> None:
    w = limited(world, each=TWO)
    engine = w.engine()
    for n in range(20):
        (uid,) = enqueued(w, 1, f"each:{n}")
        engine.step(2)
        engine.step(0, Release(uid, engine.n, f"each:{n}", SECOND))
        w.store.cancel(*w.sender.next(), [Unwanted(uid, "low", "noop")])
        w.clock.ms += 2 * SECOND
    assert len(w.dump().tats) == 1


def test_times_that_are_over_are_forgotten(world: Make) -> None:
    w = limited(world, slow=LimitSettings(interval_us=1000))
    w.sender.enqueue(*(new_job(takes=(f"slow:{n}",)) for n in range(9)))
    engine = w.engine()
    engine.step(9)
    assert len(w.dump().tats) == 9
    w.clock.ms += SECOND
    enqueued(w, 1, "slow:last")
    engine.step(1)
    assert w.dump().tats.keys() == {"slow:last"}


def test_a_clock_that_goes_back_heals_and_nobody_overtakes(world: Make) -> None:
    w = limited(world, slow=LimitSettings(interval_us=60_000_000))
    first, second = enqueued(w, 2, "slow")
    engine, others = w.engine("low"), w.engine("high")
    assert uids(engine.step(2)) == [first]
    w.clock.ms -= 3600 * SECOND
    enqueued(w, 1, "slow", queue="high")
    told = others.ask(1)
    assert told.next_due_ms == 60 * SECOND
    w.clock.ms += 60 * SECOND
    (third,) = enqueued(w, 1, "slow")
    # The room in `low` was told of a later time; who comes there finds out that it isn't true.
    assert engine.step(1) == ()
    assert w.dump().rooms["low", "slow"] == (second, third)
    assert "low" in w.dump().bells
    assert uids(engine.step(2)) == [second]


def test_a_late_settlement_frees_nothing(world: Make) -> None:
    w = limited(world, all=ONE)
    first, second = enqueued(w, 2, "all")
    engine, other = w.engine(), w.engine()
    engine.step(1)
    step = engine.make(0, Release(first, 1))
    w.store.step(step)
    assert uids(other.step(2)) == [first]
    late = engine.ask(2, Ack(first, 1))
    assert late.refused == {first}
    assert late.claims == ()
    assert w.dump().slots == {"all": 1}
    assert w.store.step(step) is not None
    assert w.dump().rooms == {("low", "all"): (second,)}


@pytest.mark.direct  # where an answer is lost, so is what it tells of bells: a hint
@pytest.mark.parametrize("how", ["reap", "sign_off"])
def test_what_an_engine_took_is_free_when_it_is_gone(world: Make, how: str) -> None:
    w = limited(world, all=ONE)
    first, second = enqueued(w, 2, "all")
    (elsewhere,) = enqueued(w, 1, "all", queue="high")
    engine, others = w.engine("low"), w.engine("high")
    engine.step(2)
    assert others.step(1) == ()
    w.store.wait(["high", "low"], 0.001)
    w.store.wait(["high", "low"], 0.001)
    if how == "reap":
        w.reap(engine)
    else:
        w.store.sign_off(engine.engine)
    assert w.dump().slots == {}
    # Both queues hear of it.
    assert w.dump().bells == {"high", "low"}
    assert uids(others.step(1)) == [elsewhere]
    assert uids(w.engine("low").step(1)) == []
    others.step(0, Ack(elsewhere, 2))
    # The oldest again, whoever waited meanwhile.
    assert uids(w.engine("low").step(1)) == [first]
    assert w.dump().rooms == {("low", "all"): (second,)}


def test_who_waits_for_what_a_step_leaves_free_is_heard_of(world: Make) -> None:
    w = limited(world, all=TWO)
    first, second, third, fourth = enqueued(w, 4, "all")
    engine = w.engine("low")
    assert uids(engine.step(4)) == [first, second]
    while w.store.wait(["low"], 0.001):
        pass
    assert uids(engine.step(1, Ack(first, 1), Ack(second, 1))) == [third]
    assert w.dump().bells == {"low"}
    assert uids(w.engine("low").step(1)) == [fourth]


def test_a_queue_that_nobody_waits_in_any_more_takes_none_with_it(world: Make) -> None:
    w = limited(world, all=ONE)
    (holds,) = enqueued(w, 1, "all", queue="high")
    (gone,) = enqueued(w, 1, "all", queue="low")
    (left,) = enqueued(w, 1, "all", queue="lower")
    engine, other = w.engine("high", "low"), w.engine("lower")
    assert uids(engine.step(3)) == [holds]
    assert other.step(1) == ()
    w.store.cancel(*w.sender.next(), [Unwanted(gone, "low", "noop")])
    engine.step(0, Ack(holds, 1))
    assert uids(other.step(1)) == [left]


@pytest.mark.direct  # where an answer is lost, so is what it tells of bells: a hint
def test_a_queue_of_others_hears_what_is_free(world: Make) -> None:
    w = limited(world, all=ONE)
    (mine,) = enqueued(w, 1, "all", queue="high")
    (theirs,) = enqueued(w, 1, "all", queue="low")
    engine, other = w.engine("high"), w.engine("low")
    engine.step(1)
    other.step(1)
    w.store.wait(["high"], 0.001)
    w.store.wait(["low"], 0.001)
    assert w.dump().bells == frozenset()
    engine.step(1, Ack(mine, 1))
    assert w.dump().bells == {"low"}
    assert uids(other.step(1)) == [theirs]


def test_a_step_that_finds_a_limit_full_calls_nobody(world: Make) -> None:
    w = limited(world, all=ONE)
    first, second, _ = enqueued(w, 3, "all")
    engine = w.engine("low")
    engine.step(3)
    w.store.wait(["low"], 0.001)
    assert uids(engine.step(3, Ack(first, 1))) == [second]
    assert w.dump().bells == frozenset()


def test_who_starts_from_behind_its_door_isnt_there_any_more(world: Make) -> None:
    w = limited(world, all=TWO)
    jobs = enqueued(w, 2, "all")
    engine = w.engine("low")
    engine.step(2)
    engine.step(0, *(Park(uid, 1, "low", "noop") for uid in jobs))
    assert w.dump().behind == {*jobs}
    assert uids(engine.step(2, admits=(Admit("low", "noop", 2),))) == jobs
    assert w.dump().behind == frozenset()


def test_a_queue_of_others_doesnt_say_when_the_next_permit_comes(world: Make) -> None:
    w = limited(
        world, slow=LimitSettings(interval_us=60_000_000), fast=LimitSettings(interval_us=1_000_000)
    )
    enqueued(w, 2, "fast", queue="high")
    enqueued(w, 2, "slow", queue="low")
    w.engine("high").step(2)
    assert w.engine("low").ask(2).next_due_ms == 60 * SECOND


def test_a_cancelled_job_leaves_its_room(world: Make) -> None:
    w = limited(world, all=ONE)
    _, second, third = enqueued(w, 3, "all")
    w.engine().step(3)
    for uid in (second, third):
        assert w.store.cancel(*w.sender.next(), [Unwanted(uid, "low", "noop")]) == ["cancelled"]
    found = w.dump()
    assert found.rooms == found.waited_in == {}
    assert not found.open
    assert w.queue("low").dropped == frozenset()


def test_a_purge_empties_the_rooms_too(world: Make) -> None:
    w = limited(world, all=ONE)
    enqueued(w, 3, "all")
    w.engine().step(3)
    assert w.store.purge(*w.sender.next(), "low", [], 1) == 1
    assert w.store.purge(*w.sender.next(), "low", [], 9) == 1
    assert w.dump().rooms == {}


def test_a_queue_with_somebody_in_a_room_stays_named(world: Make) -> None:
    w = limited(world, all=ONE)
    enqueued(w, 2, "all")
    w.engine().step(2)
    w.store.forget_queues(["low"])
    assert "low" in w.dump().used


def test_the_newest_settings_hold_and_a_lower_value_drains(world: Make) -> None:
    w = limited(world, all=TWO)
    first, second, third, fourth = enqueued(w, 4, "all")
    engine = w.engine()
    engine.step(4)
    assert w.store.set_limits({"all": ONE}, 3) == frozenset()
    assert w.store.set_limits({"all": TWO}, 2) == {"all"}
    assert engine.step(4, Ack(first, 1)) == ()
    assert uids(engine.step(4, Ack(second, 1))) == [third]
    assert w.store.set_limits({"all": TWO}, 4) == frozenset()
    assert w.store.set_limits({"all": ONE}, 4) == frozenset(), "it is known, and stays"
    assert uids(engine.step(4)) == [fourth]


ACME, OTHER = 'tenant:"acme"', 'tenant:"other"'


@pytest.mark.direct  # where an answer is lost, so is what it tells of bells: a hint
def test_one_value_of_a_key_can_have_settings_of_its_own(world: Make) -> None:
    w = limited(world, tenant=ONE)
    acme, other = enqueued(w, 3, ACME), enqueued(w, 2, OTHER)
    engine = w.engine()
    assert uids(engine.step(5)) == [acme[0], other[0]]
    w.store.wait(["low"], 0.001)
    assert w.store.set_limits({ACME: TWO}, 2) == frozenset()
    assert w.dump().bells == {"low"}, "somebody may be admitted now"
    assert uids(engine.step(5)) == [acme[1]]
    assert w.store.set_limits({ACME: LimitSettings()}, 3) == frozenset()
    assert uids(engine.step(5)) == [acme[2]], "of no limit that it knows"
    assert w.dump().rooms == {("low", OTHER): (other[1],)}


def test_a_rate_of_one_value_holds_for_it_alone(world: Make) -> None:
    w = limited(world, tenant=TWO)
    w.store.set_limits({ACME: LimitSettings(interval_us=60_000_000)}, 2)
    acme, other = enqueued(w, 2, ACME), enqueued(w, 2, OTHER)
    assert uids(w.engine().step(4)) == [acme[0], *other]


def test_a_suspect_waits_for_its_limits_where_it_is(world: Make) -> None:
    w = limited(world, all=ONE)
    dying, engine = w.engine("low"), w.engine("low")
    (first,) = enqueued(w, 1, "all")
    (plain,) = w.new("low")
    dying.step(2)
    w.reap(dying)
    (holds,) = enqueued(w, 1, "all")
    assert uids(engine.step(1)) == [first]
    engine.step(0, Release(first, 1))
    other = w.engine("high")
    (elsewhere,) = enqueued(w, 1, "all", queue="high")
    assert uids(other.step(1)) == [elsewhere]
    # The first is refused; the next isn't.
    (claim,) = engine.step(1)
    assert (claim.uid, claim.suspect) == (plain, True)
    engine.step(1, Ack(plain, engine.n))
    assert w.queue("low").suspects == (first,)
    assert w.dump().rooms == {("low", "all"): (holds,)}
    other.step(0, Ack(elsewhere, 1))
    (claim,) = engine.step(2)
    assert (claim.uid, claim.suspect) == (first, True)


def test_a_suspect_that_waits_for_a_limit_is_heard_of_when_that_is_free(world: Make) -> None:
    w = limited(world, all=ONE)
    dying, engine = w.engine("low"), w.engine("high", "low")
    enqueued(w, 1, "all")
    dying.step(1)
    w.reap(dying)
    (holds,) = enqueued(w, 1, "all", queue="high")
    assert uids(engine.step(2)) == [holds]
    while w.store.wait(["high", "low"], 0.001):
        pass
    engine.step(0, Ack(holds, 1))
    assert w.dump().bells == {"low"}


def test_a_step_looks_at_no_more_than_it_may(world: Make) -> None:
    w = limited(world, all=ONE)
    enqueued(w, 150, "all")
    (free,) = w.new("low")
    engine = w.engine("low")
    engine.step(1)
    assert engine.step(1) == ()
    assert len(w.dump().rooms["low", "all"]) == 66
    assert "low" in w.dump().bells, "who is left is heard of"
    assert engine.step(1) == ()
    assert uids(engine.step(1)) == [free]
    before = w.dump()
    assert len(before.rooms["low", "all"]) == 149
    assert engine.ask(1).left == 0
    assert w.dump().rooms == before.rooms
