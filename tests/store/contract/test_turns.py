"""Both stores: jobs with a fair key take turns by their keys' weights."""

from __future__ import annotations

import pytest

from tests.scene import Scene
from tests.store.world import SECOND, Make, World, bury, retry, uids
from tests.support import new_job
from trioq.core.calls import Unwanted
from trioq.core.fair import fair_key
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, Park, Release
from trioq.errors import QueueFull


def enqueue(
    w: World,
    key: str | None,
    count: int = 1,
    *,
    weight: float = 1,
    delay_ms: int = 0,
    queue: str = "low",
) -> list[str]:
    """Jobs of this key; their uids."""
    fair = None if key is None else fair_key(key, weight)
    jobs = [new_job(queue, fair=fair, delay_ms=delay_ms) for _ in range(count)]
    w.sender.enqueue(*jobs)
    return [job.uid for job in jobs]


def keys_of(w: World, claims: list[str]) -> str:
    """The keys of these jobs as one text: a key is one letter, and none a dash."""
    rows = w.dump().flow
    return "".join(rows[uid].split('"')[1] if uid in rows else "-" for uid in claims)


@pytest.mark.direct  # it is told once, and an answer may be lost
@pytest.mark.parametrize("limits", [False, True])
def test_a_claim_tells_which_jobs_came_in_their_keys_turns(world: Make, limits: bool) -> None:
    w = world()
    if limits:
        w.store.set_limits({"all": LimitSettings(concurrency=9)}, 1)
    (a,) = enqueue(w, "a")
    plain, another = enqueue(w, None, 2)
    reply = w.engine().ask(3)
    assert sorted(uids(reply.claims)) == sorted([a, plain, another])
    assert reply.waits == {a: "fair"}


def test_keys_take_turns(world: Make) -> None:
    w = world()
    enqueue(w, "a", 5)
    enqueue(w, "b", 2)
    enqueue(w, "c", 1)
    engine = w.engine()
    assert keys_of(w, uids(engine.step(4))) == "abca"
    assert keys_of(w, uids(engine.step(9))) == "baaa"


def test_the_order_within_a_key_is_kept(world: Make) -> None:
    w = world()
    a, b = enqueue(w, "a", 3), enqueue(w, "b", 3)
    claimed = [claim.uid for n in (1, 2, 3) for claim in w.engine().step(n)]
    assert [uid for uid in claimed if uid in a] == a
    assert [uid for uid in claimed if uid in b] == b


def test_who_comes_late_waits_for_one_turn_of_the_others_at_most(world: Make) -> None:
    w = world()
    enqueue(w, "a", 100)
    engine = w.engine()
    engine.step(20)
    enqueue(w, "b", 10)
    claimed = keys_of(w, uids(engine.step(9)))
    assert "b" in claimed[:2]
    assert 4 <= claimed.count("b") <= 5, "and has saved nothing up"


def test_jobs_without_a_key_are_those_of_one_more(world: Make) -> None:
    w = world()
    enqueue(w, None, 5)
    enqueue(w, "a", 2)
    enqueue(w, "b", 2)
    engine = w.engine()
    assert keys_of(w, uids(engine.step(3))) == "-ab"
    assert keys_of(w, uids(engine.step(6))) == "-ab---"


def test_a_flood_of_jobs_without_a_key_delays_one_with_a_key_by_one_turn(world: Make) -> None:
    w = world()
    enqueue(w, None, 50)
    engine = w.engine()
    engine.step(10)
    enqueue(w, "a")
    assert "a" in keys_of(w, uids(engine.step(2)))


def test_a_key_has_as_many_turns_as_it_weighs(world: Make) -> None:
    w = world()
    enqueue(w, "a", 30, weight=3)
    enqueue(w, "b", 30)
    claimed = keys_of(w, uids(w.engine().step(40)))
    assert claimed.count("a") == 30
    for start in range(0, 40, 4):
        assert 2 <= claimed[start : start + 4].count("a") <= 4


def test_what_is_released_has_its_turn_again(world: Make) -> None:
    w = world()
    enqueue(w, "a", 2)
    enqueue(w, "b", 3)
    engine = w.engine()
    first = uids(engine.step(4))
    engine.step(0, *(Release(uid, 1) for uid in reversed(first)))
    assert uids(engine.step(4)) == first


def test_who_signs_off_gives_the_turns_back(world: Make) -> None:
    w = world()
    enqueue(w, "a", 3)
    enqueue(w, "b", 3)
    engine = w.engine()
    first = uids(engine.step(4))
    w.store.sign_off(engine.engine)
    assert w.dump().queues["low"].keyed.keys() >= {*first}
    assert uids(w.engine().step(4)) == first


def test_what_is_due_comes_behind_the_others_of_its_key(world: Make) -> None:
    w = world()
    late = enqueue(w, "a", delay_ms=SECOND)
    a, b = enqueue(w, "a", 2), enqueue(w, "b", 3)
    w.clock.ms += SECOND
    claimed = uids(w.engine().step(6))
    assert [uid for uid in claimed if uid in [*a, *late]] == [*a, *late]
    assert keys_of(w, claimed) == "ababab"
    assert [uid for uid in claimed if uid in b] == b


def test_what_becomes_ready_in_a_step_is_claimed_by_it_or_heard_of(world: Make) -> None:
    w = world()
    (uid,) = enqueue(w, "a", delay_ms=SECOND)
    engine = w.engine("low")
    assert engine.step(1) == ()
    while w.store.wait(["low"], 0.001):
        pass
    w.clock.ms += SECOND
    assert engine.step(0) == ()
    assert w.dump().bells == {"low"}
    assert uids(engine.step(1)) == [uid]
    while w.store.wait(["low"], 0.001):
        pass
    engine.step(0, Release(uid, engine.n))
    assert w.dump().bells == {"low"}
    assert uids(engine.step(1)) == [uid]
    assert uids(engine.step(1, Release(uid, engine.n))) == [uid]


def test_a_retry_comes_behind_the_others_of_its_key(world: Make) -> None:
    w = world()
    first, second = enqueue(w, "a", 2)
    engine = w.engine()
    (claim,) = engine.step(1)
    engine.step(0, retry(claim, 1))
    w.clock.ms += SECOND
    assert uids(engine.step(2)) == [second, first]


def test_what_is_revived_comes_behind_the_others_of_its_key(world: Make) -> None:
    w = world()
    (dead,) = bury(w, new_job(fair=fair_key("a")))
    (other,) = enqueue(w, "a")
    w.store.revive(*w.sender.next(), [(dead, "low")])
    assert uids(w.engine().step(2)) == [other, dead]


def test_who_was_parked_comes_back_through_its_door(world: Make) -> None:
    w = world()
    (parked,) = enqueue(w, "a")
    engine = w.engine()
    engine.step(1)
    engine.step(0, Park(parked, 1, "low", "noop"))
    assert w.queue("low").keyed == {}
    enqueue(w, "a")
    assert w.dump().parked == {("low", "noop"): (parked,)}


def test_who_was_cancelled_is_passed_over(world: Make) -> None:
    w = world()
    first, second = enqueue(w, "a", 2)
    w.store.cancel(*w.sender.next(), [Unwanted(first, "low", "noop", b"{}")])
    assert w.queue("low").dropped == {first}
    engine = w.engine()
    assert uids(engine.step(1)) + uids(engine.step(1)) == [second]
    assert w.dump().flow.keys() == {second}
    assert w.queue("low").dropped == set()


def test_a_purge_takes_them_too(world: Make) -> None:
    w = world()
    enqueue(w, "a", 3)
    enqueue(w, None, 2)
    assert w.store.purge(*w.sender.next(), "low", (), 4) == 4
    assert w.store.purge(*w.sender.next(), "low", (), 4) == 1
    assert w.dump().flow == {}


def test_jobs_of_all_kinds_come_in_one_batch_and_keep_their_order(world: Make) -> None:
    w = world()
    a, b = fair_key("a", 2), fair_key("b")
    low = [
        new_job(takes=("x",)), new_job(), new_job(fair=a), new_job(fair=b, takes=("x", "y")),
        new_job(takes=("x",)), new_job(fair=a), new_job(),
    ]  # fmt: skip
    high = [new_job("high"), new_job("high", fair=a), new_job("high", takes=("y",))]
    w.sender.enqueue(*low[:3], *high, *low[3:])
    found = w.dump()
    assert found.queues["low"].in_line == [low[n].uid for n in (0, 1, 4, 6, 2, 3, 5)]
    assert found.queues["high"].in_line == [high[n].uid for n in (0, 2, 1)]
    tags = ("0" * 16, "0" * 11 + "80000")
    assert found.flow == {
        low[0].uid: "\nx", low[4].uid: "\nx", high[2].uid: "\ny",
        low[2].uid: f'{tags[0]} 2 "a"', low[5].uid: f'{tags[1]} 2 "a"',
        low[3].uid: f'{tags[0]} 1 "b"\nx\ny', high[1].uid: f'{tags[0]} 2 "a"',
    }  # fmt: skip


def cancel(w: World, *these: str) -> None:
    w.store.cancel(*w.sender.next(), [Unwanted(uid, "low", "noop", b"{}") for uid in these])


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)])
@pytest.mark.parametrize("at_a_time", [1, 2, 4])
def test_who_cancels_all_of_its_jobs_has_had_no_turns(
    world: Make, order: tuple[int, ...], at_a_time: int
) -> None:
    w = world()
    a = enqueue(w, "a", 4, weight=0.5)
    enqueue(w, "b", 3)
    for start in range(0, 4, at_a_time):
        cancel(w, *(a[place] for place in order[start : start + at_a_time]))
    found = w.dump()
    assert found.turns.keys() == {'low\0"b"'}
    assert found.spare == {}
    enqueue(w, "a")
    assert keys_of(w, uids(w.engine().step(9))) == "babb"


def test_what_comes_behind_jobs_that_were_cancelled_comes_as_if_they_had_never_been(
    world: Make,
) -> None:
    w = world()
    a = enqueue(w, "a", 6)
    b = enqueue(w, "b", 6)
    cancel(w, a[4], a[1])
    (last,) = enqueue(w, "a")
    engine = w.engine()
    assert uids(engine.step(6)) == [a[0], b[0], b[1], a[2], b[2]], "who waits keeps its tag"
    cancel(w, a[5], a[3])
    assert w.dump().spare != {}, "and what comes before another is given back with that one"
    cancel(w, last)
    assert w.dump().spare == {}
    again = enqueue(w, "a", 2)
    assert uids(engine.step(20)) == [b[3], again[0], b[4], again[1], b[5]]


def test_a_turn_between_others_is_spare_until_the_queue_has_come_through_it(world: Make) -> None:
    w = world()
    a = enqueue(w, "a", 3)
    enqueue(w, "b", 3)
    cancel(w, a[1])
    engine = w.engine()
    claims = [uid for _ in range(4) for uid in uids(engine.step(1))]
    assert keys_of(w, claims) == "abb"
    cancel(w, a[2])
    assert w.dump().turns.keys() == {"low", 'low\0"b"'}, "this key owes nothing"
    assert w.dump().spare == {}


def test_a_turn_that_was_had_is_not_given_back(world: Make) -> None:
    w = world()
    engine = w.engine()
    retried, parked = enqueue(w, "a", 2)
    enqueue(w, "b", 3)
    claims = {claim.uid: claim for claim in engine.step(3)}
    assert {retried, parked} < {*claims}
    engine.step(0, retry(claims[retried], 1), Park(parked, 1, "low", "noop"))
    before = w.dump()
    assert 'low\0"a"' in before.turns
    cancel(w, retried, parked)
    assert w.dump().turns == before.turns
    assert w.dump().jobs.keys() == before.jobs.keys() - {retried, parked}


@pytest.mark.parametrize("how", ["cancel", "purge"])
def test_who_is_refused_by_a_limit_has_had_no_turn_and_gives_it_back(world: Make, how: str) -> None:
    w = world()
    w.store.set_limits({"all": LimitSettings(concurrency=1)}, 1)
    _, refused = w.sender.enqueue(
        *(new_job(fair=fair_key("a", weight), takes=("all",)) for weight in (1, 0.5))
    )
    enqueue(w, "b", 3)
    assert keys_of(w, uids(w.engine().step(3))) == "abb"
    assert w.dump().rooms == {("low", "all"): (refused,)}
    assert 'low\0"a"' in w.dump().turns
    if how == "cancel":
        cancel(w, refused)
    else:
        assert w.store.purge(*w.sender.next(), "low", (), 1) == 1
    assert 'low\0"a"' not in w.dump().turns


def test_a_purge_gives_all_turns_back(world: Make) -> None:
    w = world()
    enqueue(w, "a", 5)
    (other,) = enqueue(w, "a", queue="high")
    for count in (2, 2, 1):
        assert w.store.purge(*w.sender.next(), "low", (), 2) == count
    assert w.dump().turns.keys() == {'high\0"a"'}
    assert w.dump().flow.keys() == {other}


def test_they_count_for_the_length_of_their_queue(world: Make) -> None:
    w = world(max_lengths={"low": 3})
    enqueue(w, "a", 2)
    enqueue(w, None)
    for more in (new_job(fair=fair_key("b")), new_job()):
        with pytest.raises(QueueFull):
            w.sender.enqueue(more)


def test_the_rest_is_told_and_rung_for(world: Make) -> None:
    w = world()
    enqueue(w, "a", 3)
    engine = w.engine()
    assert w.store.wait(["low"], 0.01)
    assert engine.ask(1).left == 2
    assert w.store.wait(["low"], 0.01)


def test_where_the_oldest_go_those_go_whose_turn_comes_next(world: Make) -> None:
    w = world(max_lengths={"low": 3}, when_full={"low": "drop_oldest"})
    first, second = enqueue(w, "a", 2)
    (third,) = enqueue(w, "b")
    (plain,) = enqueue(w, None)
    assert w.dump().reasons == {first: "dropped"}
    enqueue(w, "a", 2)
    found = w.dump()
    assert found.reasons == dict.fromkeys((first, plain, third), "dropped")
    assert second in uids(w.engine().step(9))


def test_a_queue_that_they_wait_in_is_not_forgotten(world: Make) -> None:
    w = world()
    (uid,) = enqueue(w, "a")
    w.store.forget_queues(["low"])
    assert w.dump().used == {"low"}
    w.store.cancel(*w.sender.next(), [Unwanted(uid, "low", "noop", b"{}")])
    w.store.forget_queues(["low"])
    assert w.dump().used == set()
    assert w.queue("low").keyed == {}
    assert w.engine().step(1) == ()


def test_what_a_reply_has_no_room_for_keeps_its_turn(world: Make) -> None:
    w = world(claim_bytes=400)
    big = b'{"a":"%s"}' % (b"x" * 200)
    jobs = [
        new_job(payload=big, fair=fair_key(key) if key else None) for key in ("a", "b", "", "a")
    ]
    w.sender.enqueue(*jobs)
    engine = w.engine()
    claimed = uids(engine.step(4))
    assert len(claimed) < 4
    there = w.queue("low")
    assert {*there.keyed} | {*there.ready} | {*claimed} == {job.uid for job in jobs}
    assert len(there.keyed) == 3 - sum(uid != jobs[2].uid for uid in claimed)
    claimed += [uid for _ in range(3) for uid in uids(engine.step(4))]
    assert claimed == [jobs[2].uid, jobs[0].uid, jobs[1].uid, jobs[3].uid]


def test_keys_are_forgotten_when_nobody_waits_or_runs(world: Make) -> None:
    w = world()
    enqueue(w, "a", 3)
    enqueue(w, None, 3)
    engine = w.engine()
    claims = engine.step(6)
    engine.step(0, *(Ack(claim.uid, 1, b"") for claim in claims))
    assert engine.step(1) == ()
    assert w.dump().turns == {}


def test_a_key_whose_turns_are_over_is_forgotten_while_others_go_on(scene: Scene) -> None:
    keys = [fair_key(key) for key in ("a", "b", *["c"] * 7)]
    scene.enqueue(*(new_job(fair=key) for key in keys))
    scene.driver.step(3)
    assert len(scene.driver.step(3)) == 3
    left = scene.store.lane.call("HKEYS", scene.store.keys.fixed("turns"))
    assert sorted(left) == [b"low", b'low\0"c"']


def test_who_had_a_queue_for_itself_owes_nothing(world: Make) -> None:
    w = world()
    enqueue(w, "a", 50)
    engine = w.engine()
    engine.step(50)
    enqueue(w, "b", 3)
    enqueue(w, "a", 3)
    assert sorted(keys_of(w, uids(engine.step(2)))) == ["a", "b"]
