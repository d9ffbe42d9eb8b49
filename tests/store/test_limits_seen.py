"""Limits as they are seen: use, holders, who waits; and why a job of one doesn't run."""

from __future__ import annotations

import re

import pytest

from tests.scene import Scene
from tests.store.drive import Driver
from tests.support import new_job
from trioq.core.calls import IdKeep, Taking
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, Release
from trioq.store.inspect import (
    LimitView,
    Reason,
    explain,
    explain_queue,
    find,
    limits,
    stats,
    waiting,
)
from trioq.store.inspect.deployed import Deployed

KEYED = ('each:"a"', "all")


def one(scene: Scene, name: str) -> LimitView:
    (found,) = [view for view in limits(scene.store) if view.name == name]
    return found


def only(scene: Scene, uid: str) -> Reason:
    (reason,) = explain(scene.store, uid).reasons
    return reason


@pytest.fixture
def limited(scene: Scene) -> Scene:
    settings = {"all": LimitSettings(concurrency=2), "each": LimitSettings(concurrency=1)}
    scene.store.set_limits(settings, 7)
    return scene


def test_nothing_is_limited_at_first(scene: Scene) -> None:
    scene.enqueue(new_job())
    assert limits(scene.store) == []


def test_a_limit_is_seen_with_who_runs_and_who_waits(limited: Scene) -> None:
    uids = sorted(limited.enqueue(*(new_job(takes=KEYED) for _ in range(3))))
    (claim,) = limited.driver.step(3)
    view = one(limited, "each")
    assert (view.settings, view.since_ms) == (LimitSettings(concurrency=1), 7)
    assert (view.running, view.waiting, view.left_out) == (1, 2, 0)
    (taken,) = view.takes
    assert (taken.take, taken.key, taken.is_full) == ('each:"a"', "a", True)
    assert taken.holders == (claim.uid,)
    assert taken.first == tuple(uid for uid in uids if uid != claim.uid)
    assert (one(limited, "all").running, one(limited, "all").waiting) == (1, 0)
    (of_all,) = one(limited, "all").takes
    assert (of_all.take, of_all.key, of_all.is_full) == ("all", None, False)


def test_who_waits_for_a_limit_is_counted_apart(limited: Scene) -> None:
    limited.enqueue(*(new_job(takes=KEYED) for _ in range(3)))
    limited.driver.step(3)
    counted = stats(limited.store)
    low = counted.queues["low"]
    assert (low.ready, low.limited, low.running, low.waiting) == (0, 2, 1, 2)
    assert counted.placed == counted.records == 3
    assert waiting(limited.store, "low") == 2


def test_many_values_are_left_out_those_first_that_most_wait_for(limited: Scene) -> None:
    limited.enqueue(*(new_job(takes=(f"each:{n}",)) for n in range(25)))
    limited.enqueue(new_job(takes=("each:24",)), new_job(takes=("each:24",)))
    limited.driver.step(27)
    view = one(limited, "each")
    assert (view.running, view.waiting, len(view.takes), view.left_out) == (25, 2, 20, 5)
    assert view.takes[0].take == "each:24"


def test_values_with_settings_of_their_own_are_seen_first_even_if_nobody_has_them(
    limited: Scene,
) -> None:
    limited.enqueue(*(new_job(takes=(f"each:{n}",)) for n in range(25)))
    limited.driver.step(25)
    limited.store.set_limits({"each:99": LimitSettings(concurrency=9)}, 8)
    view = one(limited, "each")
    assert (view.takes[0].take, view.takes[0].has_own, view.takes[1].has_own) == (
        "each:99", True, False,
    )  # fmt: skip
    assert (view.takes[0].settings, view.since_ms) == (LimitSettings(concurrency=9), 7)
    assert view.left_out == 6


def test_it_is_seen_what_the_newest_deployment_says_and_who_else_lives(scene: Scene) -> None:
    lower, higher = LimitSettings(concurrency=1), LimitSettings(concurrency=2)
    scene.store.declare_limits(scene.driver.engine, {"all": lower})
    view = one(scene, "all")
    assert view.deployed == Deployed(lower, view.since_ms - 1)
    assert not view.is_by_hand
    newer = Driver(scene.store)
    scene.store.declare_limits(newer.engine, {"all": higher})
    view = one(scene, "all")
    assert (view.settings, view.is_by_hand) == (higher, False)
    assert view.deployed is not None
    assert (view.deployed.settings, view.deployed.others) == (higher, (lower,))
    scene.store.set_limits({"all": LimitSettings()}, 1 + view.since_ms)
    by_hand = one(scene, "all")
    assert (by_hand.settings, by_hand.deployed) == (LimitSettings(), view.deployed)
    assert by_hand.is_by_hand
    scene.store.sign_off(scene.driver.engine)
    scene.store.declare_limits(newer.engine, {"all": higher})
    assert one(scene, "all").deployed == Deployed(higher, view.deployed.since_ms)


def test_a_limit_that_is_over_is_seen_while_somebody_takes_of_it(scene: Scene) -> None:
    store, old = scene.store, Driver(scene.store)
    store.declare_limits(old.engine, {"all": LimitSettings(concurrency=1)})
    scene.enqueue(new_job(takes=("all",)))
    (claim,) = scene.driver.step(1)
    store.sign_off(old.engine)
    store.lane.call("HSET", store.keys.fixed("deployed"), "all", "0:1:1:0 1 1")  # long ago
    store.declare_limits(scene.driver.engine, {})
    view = one(scene, "all")
    assert (view.settings, view.deployed, view.running) == (LimitSettings(), None, 1)
    scene.driver.step(0, Ack(claim.uid, 1))
    assert limits(store) == []


def test_what_is_set_where_no_configuration_says_anything_is_not_by_hand(limited: Scene) -> None:
    limited.enqueue(new_job(takes=("all",)))
    limited.driver.step(1)
    view = one(limited, "all")
    assert (view.deployed, view.is_by_hand) == (None, False)


def test_declarations_are_read_as_they_are_kept(scene: Scene) -> None:
    scene.store.declare_limits(scene.driver.engine, {"all": LimitSettings(concurrency=1)})
    kept_as = "0:1:1:0 5 -\n0:1:9:0 6 7\n60000000:3:2:1 8 -"
    scene.store.lane.call("HSET", scene.store.keys.fixed("deployed"), "all", kept_as)
    newest = LimitSettings(60_000_000, 3, 2, keyed=True)
    assert one(scene, "all").deployed == Deployed(newest, 8, (LimitSettings(concurrency=1),))


# -- why -----------------------------------------------------------------------------------------


def test_a_job_is_told_which_limit_is_full_and_who_holds_it(limited: Scene) -> None:
    uids = limited.enqueue(*(new_job(takes=KEYED) for _ in range(3)))
    (claim,) = limited.driver.step(3)
    last = max(uid for uid in uids if uid != claim.uid)
    reason = only(limited, last)
    assert reason.why == "limited"
    assert reason.says == (
        f'the limit each for "a" is full: 1 of 1 runs, held by {claim.uid}; 1 that waits for it'
        " comes before this one"
    )
    assert reason.as_json() == {
        "why": "limited", "says": reason.says, "limit": "each", "key": "a", "own": False,
        "running": 1, "concurrency": 1, "holders": [claim.uid], "ids": {}, "next_ms": None,
        "before": 1, "about_ms": None,
    }  # fmt: skip


def test_a_run_of_a_schedule_is_told_to_wait_for_the_one_before_it(scene: Scene) -> None:
    scene.store.put_schedule(*scene.sender.next(), "nightly", b"{}", None)
    takes = ('@schedule:"nightly"',)
    _, last = scene.enqueue(
        *(new_job(takes=takes, id=f"schedule:nightly:{n}000") for n in range(2))
    )
    scene.driver.step(2)
    reason = only(scene, last)
    assert reason.why == "limited"
    says = "one run of schedule nightly at a time: it waits for schedule:nightly:0000 to end"
    assert reason.says == says


def test_the_next_run_of_an_id_is_told_to_wait_for_the_one_before_it(scene: Scene) -> None:
    (first,) = scene.enqueue(new_job(id="report"))
    scene.driver.step(1)
    taking = Taking(first, "again", scene.driver.engine, 1)
    job = new_job(id="report")
    scene.store.enqueue(*scene.sender.next(), [job], taking=taking)
    scene.driver.step(1)
    reason = only(scene, job.uid)
    assert reason.why == "limited"
    assert reason.says == f"waits for {first} to end, the run before it of its id"
    assert reason.data["holders"] == [first]
    runs = find(scene.store, first)
    assert runs is not None
    assert (runs.state, runs.asked) == ("running", None), "nobody wants it to end"


def test_who_holds_a_limit_is_told_by_the_callers_ids(limited: Scene) -> None:
    uids = limited.enqueue(
        new_job(takes=("all",), id="order 1", keep=IdKeep(0)),
        new_job(takes=("all",)),
        new_job(takes=("all",), id="order 2"),
    )
    limited.driver.step(3)
    reason = only(limited, "order 2")
    assert reason.says == f"the limit all is full: 2 of 2 run, held by order 1, {uids[1]}"
    assert reason.data["ids"] == {uids[0]: "order 1"}
    (taken,) = one(limited, "all").takes
    assert taken.as_json()["ids"] == {uids[0]: "order 1", uids[2]: "order 2"}


def test_of_many_who_hold_a_limit_some_are_named_and_all_counted(scene: Scene) -> None:
    scene.store.set_limits({"all": LimitSettings(concurrency=12)}, 1)
    uids = scene.enqueue(*(new_job(takes=("all",)) for _ in range(13)))
    scene.driver.step(13)
    assert only(scene, max(uids)).says.endswith(" and 9 more")


def test_of_a_queue_those_limits_come_first_for_which_the_most_wait(scene: Scene) -> None:
    waiting_for = {"b": 2, "a": 3, "c": 1}
    scene.store.set_limits({name: LimitSettings(concurrency=1) for name in waiting_for}, 1)
    for name, count in waiting_for.items():
        scene.enqueue(*(new_job(takes=(name,)) for _ in range(1 + count)))
    scene.driver.step(9)
    reasons, _, _ = explain_queue(scene.store, "low")
    (reason,) = [each for each in reasons if each.why == "limited"]
    assert [room["take"] for room in reason.data["limits"]] == ["a", "b", "c"]


def test_a_rest_that_ends_before_the_next_permit_comes_is_not_what_is_waited_for(
    scene: Scene,
) -> None:
    scene.store.set_limits({"slow": LimitSettings(3_600_000_000)}, 1)
    scene.enqueue(new_job(takes=("slow",)))
    (claim,) = scene.driver.step(1)
    back = Release(claim.uid, scene.driver.n, rests="slow", rest_ms=60_000)
    assert scene.driver.step(1, back) == ()
    assert only(scene, claim.uid).says.startswith("the limit slow lets 1/h start: the next one in ")


def test_a_job_is_told_when_about_its_own_permit_comes(scene: Scene) -> None:
    scene.store.set_limits({"slow": LimitSettings(3_600_000_000)}, 1)
    uids = scene.enqueue(*(new_job(takes=("slow",)) for _ in range(4)))
    scene.driver.step(4)
    reasons = [only(scene, uid) for uid in sorted(uids)[1:]]
    ends = ["", *(
        rf"; {n} that {wait} before this one, which may start in about {hours} h"
        for n, wait, hours in ((1, "waits for it comes", 2), (2, "wait for it come", 3))
    )]  # fmt: skip
    for reason, end in zip(reasons, ends, strict=True):
        begin = r"the limit slow lets 1/h start: the next one in (59|60) min"
        assert re.fullmatch(begin + end, reason.says), reason.says
    next_ms = reasons[0].data["next_ms"]
    assert [reason.data["about_ms"] for reason in reasons] == [
        next_ms, next_ms + 3_600_000, next_ms + 7_200_000,
    ]  # fmt: skip
    (taken,) = one(scene, "slow").takes
    assert taken.as_json()["last_ms"] == next_ms + 7_200_000


def test_of_a_limit_that_is_full_nobody_knows_when_its_permit_comes(scene: Scene) -> None:
    scene.store.set_limits({"slow": LimitSettings(3_600_000_000, 1, 1)}, 1)
    uids = scene.enqueue(*(new_job(takes=("slow",)) for _ in range(3)))
    scene.driver.step(3)
    reason = only(scene, max(uids))
    assert reason.says.startswith("the limit slow is full: 1 of 1 runs, held by")
    assert reason.data["about_ms"] is None
    assert one(scene, "slow").takes[0].last_ms is None


def test_a_job_is_told_what_is_set_for_its_value_alone(limited: Scene) -> None:
    limited.store.set_limits({'each:"a"': LimitSettings(concurrency=2)}, 8)
    uids = limited.enqueue(*(new_job(takes=('each:"a"',)) for _ in range(3)))
    limited.driver.step(3)
    reason = only(limited, max(uids))
    assert reason.says.startswith('the limit each for "a" (set for it alone) is full: 2 of 2 run')
    assert (reason.data["own"], reason.data["concurrency"]) == (True, 2)


def test_a_job_is_told_when_the_next_permit_comes(scene: Scene) -> None:
    scene.store.set_limits({"slow": LimitSettings(3_600_000_000)}, 1)
    scene.enqueue(new_job(takes=("slow",)), new_job(takes=("slow",)))
    (claim,) = scene.driver.step(2)
    (left,) = one(scene, "slow").takes[0].first
    assert left != claim.uid
    reason = only(scene, left)
    assert reason.why == "limited"
    assert re.fullmatch(r"the limit slow lets 1/h start: the next one in (59|60) min", reason.says)
    assert reason.data["concurrency"] is None
    seconds, _ = scene.store.lane.call("TIME")
    assert 3_500 < reason.data["next_ms"] / 1000 - int(seconds) < 3_601
    assert reason.data["before"] == 0


def test_a_permit_that_is_there_is_not_waited_for(scene: Scene) -> None:
    scene.store.set_limits({"slow": LimitSettings(3_600_000_000, 2)}, 1)
    (first, *_) = scene.enqueue(*(new_job(takes=("slow",)) for _ in range(3)))
    assert [claim.uid for claim in scene.driver.step(1)] == [first]
    assert one(scene, "slow").takes[0].next_ms is None, "there is one more"
    scene.driver.step(2)
    seconds, _ = scene.store.lane.call("TIME")
    next_ms = one(scene, "slow").takes[0].next_ms
    assert next_ms is not None
    assert 3_500 < next_ms / 1000 - int(seconds) < 3_601


@pytest.mark.parametrize(("take", "key", "said"), [
    ("each:false", False, " for false"), ("each:0", 0, " for 0"), ('each:""', "", ' for ""'),
])  # fmt: skip
def test_a_value_that_is_nothing_is_one_too(
    limited: Scene, take: str, key: object, said: str
) -> None:
    limited.enqueue(*(new_job(takes=(take,)) for _ in range(2)))
    limited.driver.step(2)
    (taken,) = one(limited, "each").takes
    assert (taken.key, type(taken.key)) == (key, type(key))
    assert only(limited, taken.first[0]).says.startswith(f"the limit each{said} is full")


def test_who_comes_next_is_told_by_age_over_all_queues(limited: Scene) -> None:
    (holder,) = limited.enqueue(new_job("low", takes=("each:1",)))
    limited.driver.step(1)
    old, young = sorted(
        limited.enqueue(new_job("high", takes=("each:1",)), new_job("low", takes=("each:1",)))
    )
    third = limited.enqueue(new_job("high", takes=("each:1",)))
    other = Driver(limited.store, ("high", "low"))
    assert other.step(3) == ()
    (taken,) = one(limited, "each").takes
    assert taken.holders == (holder,)
    assert taken.first == (old, young, *third)


def test_a_job_is_told_when_a_limit_that_rests_lets_the_next_one_start(limited: Scene) -> None:
    limited.enqueue(new_job(takes=("all",)))
    (claim,) = limited.driver.step(1)
    back = Release(claim.uid, limited.driver.n, rests="all", rest_ms=60_000)
    assert limited.driver.step(1, back) == ()
    reason = only(limited, claim.uid)
    assert (reason.why, reason.data["before"], reason.data["holders"]) == ("limited", 0, [])
    assert reason.says.startswith("the limit all rests, as a job was told to wait: the next one")


def test_a_job_of_a_limit_with_room_is_next(limited: Scene) -> None:
    limited.enqueue(*(new_job(takes=("each:1",)) for _ in range(2)))
    (claim,) = limited.driver.step(2)
    limited.driver.step(0, Ack(claim.uid, limited.driver.n))
    (left,) = one(limited, "each").takes[0].first
    assert only(limited, left).says == (
        "the limit each for 1 was full, and has room: those that wait for it are next"
    )


def test_a_job_that_is_due_later_is_told_of_its_full_limit_too(limited: Scene) -> None:
    limited.enqueue(new_job(takes=("each:1",)))
    limited.driver.step(1)
    (uid,) = limited.enqueue(new_job(takes=("each:1",), delay_ms=60_000))
    assert [reason.why for reason in explain(limited.store, uid).reasons] == ["due", "limited"]


def test_a_job_that_has_not_met_its_full_limit_is_told_of_it(limited: Scene) -> None:
    limited.enqueue(new_job(takes=("each:1",)))
    limited.driver.step(1)
    (uid,) = limited.enqueue(new_job(takes=("each:1",)))
    reason = only(limited, uid)
    assert (reason.why, reason.data["before"]) == ("limited", None)


def test_nobody_rings_for_a_queue_that_nothing_was_ever_in(scene: Scene) -> None:
    scene.enqueue(new_job())
    assert scene.store.wait(["low"], 0.001)
    scene.store.ring_bells(["low", "nothing"])
    assert not scene.store.wait(["nothing"], 0.001)
    assert scene.store.wait(["low"], 0.001)
