"""Who waits for room in queues that are full, as it is seen."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.scene import Scene
from tests.support import Server, new_job
from trioq.core.calls import Enqueuer, MustWait
from trioq.store.inspect import explain, explain_queue, stats
from trioq.store.inspect.in_line import InLine, in_line
from trioq.store.redis import StoreOptions


@pytest.fixture
def bounded(server: Server) -> Iterator[Scene]:
    """Two queues with room for one job each."""
    names = ("low", "high")
    options = StoreOptions(
        max_lengths=dict.fromkeys(names, 1), when_full=dict.fromkeys(names, "wait")
    )
    store = server.store(options=options)
    yield Scene.on(store)
    store.lane.close()


def lines_up(scene: Scene, count: int = 1, queue: str = "low") -> str:
    """Its place is that of the uid returned."""
    jobs = [new_job(queue) for _ in range(count)]
    with pytest.raises(MustWait):
        scene.store.enqueue(*scene.sender.next(), jobs, who=Enqueuer("c1"))
    return jobs[0].uid


def test_nobody_is_in_line_at_first(bounded: Scene) -> None:
    bounded.enqueue(new_job("low"))
    low = stats(bounded.store).queues["low"]
    assert (low.in_line, low.in_line_jobs, low.in_line_since_ms) == (0, 0, None)
    assert low.in_line_in_words(0) == ""


def test_of_each_queue_it_is_seen_who_waits_for_room_and_since_when(bounded: Scene) -> None:
    bounded.enqueue(new_job("low"), new_job("high"))
    first = lines_up(bounded)
    lines_up(bounded)
    lines_up(bounded, queue="high")
    since_ms = int(first[:12], 16)
    assert in_line(bounded.store)["low"] == InLine(2, 2, since_ms)
    counted = stats(bounded.store)
    assert [counted.queues[q].in_line for q in ("low", "high")] == [2, 1]
    assert counted.queues["low"].in_line_since_ms == since_ms
    assert since_ms == pytest.approx(time.time_ns() // 1_000_000, abs=60_000)
    assert counted.queues["low"].in_line_in_words(since_ms + 180_000) == (
        "2 enqueues wait for room for 2 jobs, the first for 3 min"
    )
    assert (
        counted.queues["high"].in_line_in_words(0).startswith("1 enqueue waits for room for 1 job")
    )


def test_an_enqueue_of_many_jobs_is_one_in_line(server: Server) -> None:
    options = StoreOptions(max_lengths={"low": 5}, when_full={"low": "wait"})
    store = server.store(options=options)
    scene = Scene.on(store)
    scene.enqueue(*(new_job("low") for _ in range(4)))
    uid = lines_up(scene, 3)
    assert in_line(store) == {"low": InLine(1, 3, int(uid[:12], 16))}
    store.lane.close()


def test_a_queue_is_told_of_in_which_nothing_is_but_somebody_waits(bounded: Scene) -> None:
    bounded.enqueue(new_job("high"))
    lines_up(bounded, queue="high")
    bounded.store.lane.call("DEL", bounded.store.keys.of("ready", "high"))
    bounded.store.sign_off(bounded.driver.engine)
    assert stats(bounded.store).queues["high"].in_line == 1


def test_who_has_not_asked_for_long_is_not_in_line(bounded: Scene) -> None:
    bounded.enqueue(new_job("low"))
    uid = lines_up(bounded)
    places = bounded.store.keys.fixed("enqueuers")
    nth, _, rest = bounded.store.lane.call("HGET", places, uid).split(b" ", 2)
    bounded.store.lane.call("HSET", places, uid, b"%s 1 %s" % (nth, rest))
    assert in_line(bounded.store) == {}


def test_of_a_full_queue_it_is_explained_who_waits_for_room(bounded: Scene) -> None:
    bounded.enqueue(new_job("low"))
    uid = lines_up(bounded)
    (reason,), _, _ = explain_queue(bounded.store, "low")
    assert reason.why == "full"
    assert reason.says.startswith("low is full: 1 enqueue waits for room for 1 job, for ")
    since_ms = int(uid[:12], 16)
    assert reason.data == {"queue": "low", "enqueues": 1, "jobs": 1, "since_ms": since_ms}


def test_who_waits_for_room_is_explained_by_the_id_and_the_uid_of_its_job(bounded: Scene) -> None:
    bounded.enqueue(new_job("low"), new_job("high"))
    lines_up(bounded, queue="high")
    lines_up(bounded)
    job = new_job("low", id="order: 7\n8")
    for _ in range(2):  # and comes again, with its place
        with pytest.raises(MustWait):
            bounded.store.enqueue(*bounded.sender.next(), [job], who=Enqueuer("c1"))
    for asked in (job.uid, "order: 7\n8"):
        told = explain(bounded.store, asked)
        assert (told.uid, told.id, told.queue, told.state) == (
            job.uid, asked, "low", "not enqueued",
        )  # fmt: skip
        (reason,) = told.reasons
        since_ms = int(job.uid[:12], 16)
        assert reason.why == "full"
        assert reason.data == {"queue": "low", "before": 1, "jobs": 1, "since_ms": since_ms}
        assert re.fullmatch(
            r"it waits for room in low for .*: 1 enqueue comes before it", reason.says
        )
    assert explain(bounded.store, "order").state == "unknown"
    assert explain(bounded.store, "").state == "unknown"


def test_who_has_been_told_of_room_is_known_by_its_id_still(bounded: Scene) -> None:
    bounded.enqueue(new_job("low"))
    job = new_job("low", id="order 1")
    with pytest.raises(MustWait):
        bounded.store.enqueue(*bounded.sender.next(), [job], who=Enqueuer("c1"))
    assert bounded.driver.step(1)
    assert explain(bounded.store, "order 1").uid == job.uid


def test_many_in_line_are_counted_over_pages(
    bounded: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioq.store.inspect.in_line.PAGE", 2)
    bounded.enqueue(new_job("low"))
    first, *_ = (lines_up(bounded) for _ in range(5))
    assert in_line(bounded.store) == {"low": InLine(5, 5, int(first[:12], 16))}
