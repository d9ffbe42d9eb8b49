"""What comes of each operation, as it is told and as it is."""

from __future__ import annotations

from typing import Any

from tests.scene import Scene
from tests.support import new_job
from tests.web.conftest import Acts
from trioq.core.limits import LimitSettings
from trioq.core.settlements import DeadLetter
from trioq.store.inspect import limits, pauses, stats


def test_queues_names_and_keys_are_paused_and_resumed(act: Acts, scene: Scene) -> None:
    scene.store.set_limits({"each": LimitSettings(concurrency=1, keyed=True)}, 1)
    of: dict[str, dict[str, Any]] = {
        "queues": {"queue": "low"},
        "names": {"job": "noop"},
        "limits": {"limit": "each", "key": "acme"},
    }
    for room, what in of.items():
        told = act(f"{room}.pause", **what, note="why", lasts_s=60.0)
        assert told == what | {"paused": True, "changed": True, "done": told["done"]}
        assert not act(f"{room}.pause", **what)["changed"]
    found = pauses(scene.store)
    assert (found.queues.keys(), found.names.keys()) == ({"low"}, {"noop"})
    assert found.takes.keys() == {'each:"acme"'}
    for room, what in of.items():
        told = act(f"{room}.resume", **what)
        assert told == what | {"paused": False, "changed": True, "done": told["done"]}
    assert not pauses(scene.store).as_json()


def test_a_queue_is_purged_a_part_in_each_request(act: Acts, scene: Scene) -> None:
    scene.enqueue(*[new_job("low") for _ in range(5)])
    told = act("queues.purge", queue="low", page=3)
    assert (told["count"], told["more"]) == (3, True)
    assert told["done"] == "3 of low forgotten; there are more"
    told = act("queues.purge", queue="low", page=3)
    assert (told["count"], told["more"]) == (2, False)


def test_what_a_limit_admits_is_set_and_lifted(act: Acts, scene: Scene) -> None:
    scene.store.set_limits({"each": LimitSettings(concurrency=1, keyed=True)}, 1)
    told = act("limits.set", limit="each", rate="5/m", burst=2, concurrency=7)
    assert told["done"] == "each: 5/m started, 2 at once and 7 running"
    told = act("limits.set", limit="each", key="acme", rate="none", concurrency=9)
    assert (told["key"], told["rate"], told["concurrency"]) == ("acme", None, 9)
    (view,) = limits(scene.store)
    assert view.settings == LimitSettings(12_000_000, 2, 7, True)


def test_a_job_is_enqueued_and_cancelled_by_its_id(act: Acts, scene: Scene) -> None:
    told = act("jobs.enqueue", name="noop", queue="low", payload={"a": 1}, id="mine", delay_s=60)
    assert told == {
        "id": "mine", "uid": told["uid"], "name": "noop", "queue": "low", "queued": True,
        "existing": None, "happened": "queued", "done": f"queued {told['uid']} in low",
    }  # fmt: skip
    again = act("jobs.enqueue", name="noop", queue="low", id="mine")
    assert (again["queued"], again["uid"]) == (False, told["uid"])
    assert again["done"] == f"not queued: mine is {told['uid']}, live"
    assert act("jobs.cancel", job="mine", reason="no")["result"] == "cancelled"
    assert act("jobs.cancel", job="mine")["done"] == "it is cancelled"


def test_many_are_cancelled_by_name_a_part_in_each_request(act: Acts, scene: Scene) -> None:
    scene.enqueue(*[new_job("low", name="many") for _ in range(1200)], new_job(name="other"))
    count, after, requests, more = 0, "", 0, True
    while more:
        told = act("jobs.cancel_many", name="many", page=400, after=after)
        assert len(told["jobs"]) == told["count"]
        count, after, more = count + told["count"], told["after"], told["more"]
        requests += 1
    assert count == 1200
    assert requests >= 2
    assert stats(scene.store).queues["low"].ready == 1
    told = act("jobs.cancel_many", jobs=["nobody"])
    assert told["jobs"] == [
        {"id": "nobody", "uid": None, "result": "unknown", "outcome": "unknown"}
    ]


def test_the_dead_are_revived_and_purged_a_part_in_each_request(act: Acts, scene: Scene) -> None:
    scene.dead(*[new_job(id=f"d{n}") for n in range(5)])
    told = act("dead.revive", all=True, page=2)
    assert (told["revived"], told["more"]) == (2, True)
    told = act("dead.revive", error="no such file", page=2, after=told["after"])
    assert (told["revived"], told["more"]) == (2, True)
    told = act("dead.purge", name="noop", after=told["after"])
    assert (told["purged"], told["more"], told["done"]) == (1, False, "purged 1")
    told = act("dead.purge", jobs=["d0", "nobody"])
    assert (told["purged"], told["not_dead"]) == (0, ["d0", "nobody"])


def test_who_dies_again_meanwhile_isnt_revived_again(act: Acts, scene: Scene) -> None:
    """Else a part that fails at once would be revived for ever."""
    scene.dead(*[new_job(id=f"d{n}") for n in range(4)])
    told = act("dead.revive", all=True, page=2)
    claims = scene.driver.step(2)
    scene.driver.step(0, *[DeadLetter(c.uid, scene.driver.n, 1, "failures", b"") for c in claims])
    told = act("dead.revive", all=True, after=told["after"])
    assert (told["revived"], told["more"]) == (2, False)
    assert stats(scene.store).dead == 2


def test_schedules_are_paused_resumed_and_run(act: Acts, scene: Scene) -> None:
    schedules = act.desk.client.schedules
    schedules.put("nightly", "noop", queue="low", every=3600)
    told = act("schedules.pause", schedule="nightly", note="audit")
    assert told == {
        "schedule": "nightly", "paused": True, "changed": True, "done": "nightly is paused",
    }  # fmt: skip
    view = schedules.get("nightly")
    assert view is not None
    assert view.paused is not None
    assert (view.paused.by, view.paused.note) == ("ana", "audit")
    assert act("schedules.resume", schedule="nightly")["done"] == "nightly is resumed"
    told = act("schedules.run", schedule="nightly")
    assert stats(scene.store).queues["low"].ready == 1
    assert told["done"] == f"{told['uid']} is in low"
