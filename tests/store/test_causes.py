"""How many jobs wait for what, and the oldest of them."""

from __future__ import annotations

import attrs
import pytest

from tests.scene import Scene
from tests.store.drive import Driver
from tests.support import job_wanted_since, new_job
from trioq.core.calls import NewJob
from trioq.core.fair import fair_key
from trioq.core.formats.snapshot import Snapshot
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Park
from trioq.store.inspect import CAUSES, Waiting, sample, stats, tell
from trioq.store.inspect.causes import Cause, waiting

HOUR_S = 3600


def old(queue: str, age_s: int) -> NewJob:
    """A job that was enqueued so long ago."""
    return job_wanted_since(1000 * age_s, queue)


def park(scene: Scene, *jobs: tuple[NewJob, str]) -> None:
    """Behind doors of these names."""
    uids = scene.enqueue(*(job for job, _ in jobs))
    step = scene.driver.n + 1
    assert len(scene.driver.step(len(jobs))) == len(jobs)
    ends = [Park(uid, step, job.queue, name) for uid, (job, name) in zip(uids, jobs, strict=True)]
    scene.driver.step(0, *ends)


def seen(scene: Scene, queue: str = "low") -> dict[Cause, tuple[int, int | None]]:
    """Of a queue, how many wait for what, and since how many hours; but for nobody."""
    waiting = sample(scene.store, ["low", "high"]).waiting
    assert {cause for name, cause in waiting if name == queue} == {*CAUSES}
    return {
        cause: (there.jobs, None if there.oldest_ms is None else there.oldest_ms // 3_600_000)
        for (name, cause), there in waiting.items()
        if name == queue and there != Waiting()
    }


def test_who_waits_for_nothing_but_a_worker_is_ready_and_who_has_a_time_is_scheduled(
    scene: Scene,
) -> None:
    scene.enqueue(old("low", 3 * HOUR_S), old("low", HOUR_S))
    scene.sender.enqueue_new("low", delay_ms=60_000)
    assert seen(scene) == {"ready": (2, 3), "scheduled": (1, None)}
    assert seen(scene, "high") == {}


def test_who_has_a_fair_key_waits_for_its_turn(scene: Scene) -> None:
    young, aged = old("low", HOUR_S), old("low", 6 * HOUR_S)
    keys = {"a": young, "b": aged}
    scene.enqueue(*(attrs.evolve(job, fair=fair_key(key)) for key, job in keys.items()))
    scene.enqueue(old("low", 2 * HOUR_S))
    assert seen(scene) == {"ready": (1, 2), "fair": (2, 6)}
    assert sample(scene.store, ["low"]).oldest_ready_ms["low"] // 3_600_000 == 6
    scene.store.pause(*scene.sender.next(), "low", True)
    assert seen(scene) == {"paused": (3, 6)}


def test_who_waits_for_a_limit_is_not_what_engines_are_missing_for(scene: Scene) -> None:
    scene.store.set_limits({"all": LimitSettings(concurrency=1)}, 1)
    scene.enqueue(*(attrs.evolve(old("low", HOUR_S), takes=("all",)) for _ in range(3)))
    assert len(scene.driver.step(3)) == 1
    assert seen(scene) == {"limited": (2, None)}
    scene.store.pause(*scene.sender.next(), "low", True)
    assert seen(scene) == {"paused": (2, None)}


def test_all_of_a_paused_queue_waits_for_its_resume_but_for_what_has_a_time(scene: Scene) -> None:
    park(scene, (old("low", 5 * HOUR_S), "stranger"))
    scene.enqueue(old("low", 2 * HOUR_S))
    scene.sender.enqueue_new("low", delay_ms=60_000)
    scene.store.pause(*scene.sender.next(), "low", True)
    assert seen(scene) == {"paused": (2, 5), "scheduled": (1, None)}


@pytest.mark.parametrize("cause", ["paused", "breaker", "unknown_name", "ready"])
def test_who_is_parked_waits_for_what_has_its_door_closed(scene: Scene, cause: Cause) -> None:
    name = "stranger" if cause == "unknown_name" else "noop"
    if cause == "paused":
        scene.store.pause(*scene.sender.next(), "@noop", True)
    if cause == "breaker":
        tell(scene.store, scene.driver.engine, Snapshot(breakers={"noop": "open"}))
    park(scene, (old("low", 4 * HOUR_S), name), (old("low", 2 * HOUR_S), name))
    assert seen(scene) == {cause: (2, 4)}


def test_who_is_ready_where_nobody_serves_the_queue_is_what_engines_are_missing_for(
    scene: Scene,
) -> None:
    park(scene, (old("low", 4 * HOUR_S), "noop"))
    scene.enqueue(old("low", 2 * HOUR_S))
    scene.store.sign_off(scene.driver.engine)
    assert seen(scene) == {"ready": (2, 4)}


def test_who_waits_for_a_key_that_is_paused_is_paused_and_others_are_limited(scene: Scene) -> None:
    scene.store.set_limits({"each": LimitSettings(concurrency=1, keyed=True)}, 1)
    scene.enqueue(*(attrs.evolve(old("low", HOUR_S), takes=(f"each:{n}",)) for n in (1, 1, 2, 2)))
    scene.store.pause(*scene.sender.next(), "=each:1", True)
    scene.driver.step(4)
    assert seen(scene) == {"paused": (2, None), "limited": (1, None)}
    scene.store.pause(*scene.sender.next(), "low", True)
    assert seen(scene) == {"paused": (3, None)}


def test_who_waits_for_paused_keys_is_counted_over_all_keys_in_each_queue(scene: Scene) -> None:
    scene.store.set_limits({"each": LimitSettings(concurrency=1, keyed=True)}, 1)
    for n, queue in ((1, "low"), (1, "low"), (2, "low"), (1, "high")):
        scene.enqueue(attrs.evolve(old(queue, HOUR_S), takes=(f"each:{n}",)))
    for n in (1, 2):
        scene.store.pause(*scene.sender.next(), f"=each:{n}", True)
    assert Driver(scene.store, ("high", "low")).step(4) == ()
    assert seen(scene) == {"paused": (3, None)}
    assert seen(scene, "high") == {"paused": (1, None)}


def test_who_waits_for_a_paused_key_by_now_is_not_counted_twice(scene: Scene) -> None:
    scene.enqueue(new_job())
    found = waiting(
        stats(scene.store), (), plain_ms={}, keyed_ms={}, parked_ms={}, paused_keys={"low": 2}
    )
    assert {each.jobs for (_, cause), each in found.items() if cause != "ready"} == {0}
