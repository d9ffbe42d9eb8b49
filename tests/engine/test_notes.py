"""What handlers say of how far they are: how often it is told, to whom it isn't, who reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio

import trioq
from tests.engine.virtual import World, calm
from trioq.core.calls import BootId, Note
from trioq.core.events import JobDied, JobReleased, JobSucceeded
from trioq.core.formats.note import Progress
from trioq.core.job import Options

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


def watched(world: World) -> list[tuple[float, list[dict[str, Any]]]]:
    """Each request of notes that is to come, with its time: what was in it."""
    requests: list[tuple[float, list[dict[str, Any]]]] = []
    note: Callable[[BootId, Sequence[Note]], frozenset[str]] = world.store.note

    def heard(boot: BootId, notes: Sequence[Note]) -> frozenset[str]:
        requests.append((world.now, [json.loads(each.text) for each in notes]))
        return note(boot, notes)

    world.store.note = heard  # type: ignore[method-assign]
    return requests


def noted(world: World, uid: str) -> dict[str, Any] | None:
    (note,) = world.store.notes_of([uid])
    return None if note is None else json.loads(note)


async def test_a_run_is_told_of_every_ten_seconds_while_nobody_watches(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(heartbeat_interval_s=4.0)
    requests = watched(world)

    @world.app.job
    async def count(job: trioq.Job) -> None:
        for n in range(350):
            job.progress(n / 350, f"step {n}")
            await trio.sleep(0.1)

    await world.start()
    world.enqueue("count")
    await world.reported(JobSucceeded)
    assert [round(at) for at, _ in requests] == [1, 11, 21, 31]
    assert requests[1][1][0]["text"] in ("step 108", "step 109", "step 110")


async def test_all_runs_of_an_engine_go_in_one_request_and_none_twice_unchanged(
    autojump_clock: Clock, world: World
) -> None:
    requests = watched(world)

    @world.app.job
    async def once(job: trioq.Job, n: int) -> None:
        job.progress(n / 40)
        await trio.sleep(60)

    world.config = calm(count=40)
    await world.start()
    for n in range(40):
        world.enqueue("once", payload={"n": n})
    await world.reported(JobSucceeded, 40)
    ((_, sent),) = requests
    assert sorted(each["progress"] for each in sent) == [n / 40 for n in range(40)]


async def test_a_run_that_says_nothing_costs_no_request(
    autojump_clock: Clock, world: World
) -> None:
    requests = watched(world)

    @world.app.job
    async def silent(job: trioq.Job) -> None:
        await trio.sleep(60)

    await world.start()
    world.enqueue("silent", 20)
    await world.reported(JobSucceeded, 20)
    assert requests == []


async def test_after_an_outage_the_server_hears_the_last_and_nothing_else(
    autojump_clock: Clock, world: World
) -> None:
    requests = watched(world)

    @world.app.job
    async def count(job: trioq.Job) -> None:
        for n in range(30):
            job.progress(n / 30, f"step {n}")
            await trio.sleep(1)

    engine = await world.start()
    world.enqueue("count")
    await trio.sleep(2.5)
    engine.link.cut()
    await trio.sleep(20)
    before = len(requests)
    engine.link.mend()
    await trio.sleep(5)
    assert [each["text"] for _, each_sent in requests[before:] for each in each_sent] in (
        ["step 22"],
        ["step 23"],
        ["step 24"],
        ["step 25"],
    )


async def test_the_next_attempt_knows_what_the_last_one_said(
    autojump_clock: Clock, world: World
) -> None:
    seen: list[Progress | None] = []

    @world.app.job(retry=trioq.Retry(max_attempts=3))
    async def resume(job: trioq.Job) -> None:
        seen.append(job.previous)
        job.progress(0.1 * job.attempt, "page", {"page": job.attempt})
        if job.attempt < 3:
            raise RuntimeError("no")

    await world.start()
    world.enqueue("resume")
    await world.reported(JobSucceeded)
    assert [p and (round(p.fraction, 2), p.text, p.data, p.attempt) for p in seen] == [
        None,
        (0.1, "page", {"page": 1}, 1),
        (0.2, "page", {"page": 2}, 2),
    ]


async def test_so_does_one_that_has_a_deadline(autojump_clock: Clock, world: World) -> None:
    seen: list[Progress | None] = []

    @world.app.job(retry=trioq.Retry(max_attempts=2))
    async def resume(job: trioq.Job) -> None:
        seen.append(job.previous)
        job.progress(0.5)
        if job.attempt == 1:
            raise RuntimeError("no")

    await world.start()
    world.enqueue("resume", options=Options(deadline_ms=time.time_ns() // 1_000_000 + 3_600_000))
    await world.reported(JobSucceeded)
    assert [each and each.fraction for each in seen] == [None, 0.5]


async def test_an_engine_that_stops_leaves_what_its_runs_have_said(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job
    async def endless(job: trioq.Job) -> None:
        job.progress(0.25, "page 3")
        await trio.sleep_forever()

    engine = await world.start()
    (uid,) = world.enqueue("endless")
    await trio.sleep(0.5)
    engine.engine.hurry()
    await world.reported(JobReleased)
    await engine.ended.wait()
    note = noted(world, uid)
    assert note is not None
    assert note["progress"] == 0.25


async def test_a_job_that_is_done_leaves_nothing_and_a_dead_one_its_last_note(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job(retry=trioq.Retry(max_attempts=2))
    async def work(job: trioq.Job, fails: bool) -> None:
        job.progress(0.5, "half")
        job.log("here")
        await trio.sleep(30)
        job.progress(0.75, "more")
        if fails:
            raise RuntimeError("no")

    await world.start()
    (good,) = world.enqueue("work", payload={"fails": False})
    (bad,) = world.enqueue("work", payload={"fails": True})
    await world.reported(JobSucceeded)
    await world.reported(JobDied)
    await trio.sleep(5)
    assert noted(world, good) is None
    note = noted(world, bad)
    assert note is not None
    assert (note["progress"], note["log"]) == (0.75, ["here"])
    assert [line["log"] for line in world.history(bad)] == [["here"], ["here"]]


async def test_of_a_job_that_is_anothers_by_now_nothing_more_is_sent(
    autojump_clock: Clock, world: World
) -> None:
    requests = watched(world)
    runs = 0

    @world.app.job
    async def long(job: trioq.Job) -> None:
        nonlocal runs
        runs += 1
        me = runs
        for n in range(200):
            job.progress(n / 200, f"run {me}")
            await trio.sleep(1)

    first = await world.start()
    (uid,) = world.enqueue("long")
    await trio.sleep(5)
    first.link.cut()
    await world.start()
    await world.until(lambda: runs == 2)
    await trio.sleep(1)
    before = len(requests)
    first.link.mend()
    await trio.sleep(60)
    texts = [each["text"] for _, sent in requests[before:] for each in sent]
    assert texts.count("run 1") <= 1  # it is told so
    assert "run 2" in texts
    note = noted(world, uid)
    assert note is not None
    assert note["text"] == "run 2"


async def test_while_redis_is_away_a_failed_run_gives_its_worker_back_all_the_same(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(count=1)

    @world.app.job(retry=trioq.Retry(max_attempts=1))
    async def fails(job: trioq.Job) -> None:
        await trio.sleep(5)
        job.progress(0.5)
        raise RuntimeError("no")

    engine = await world.start()
    world.enqueue("fails")
    await trio.sleep(1)
    engine.link.cut()
    await world.reported(JobDied, within_s=10)
    engine.link.mend()


async def test_a_job_whose_payload_lay_apart_knows_what_was_said_before(
    autojump_clock: Clock, world: World
) -> None:
    seen: list[Progress | None] = []

    @world.app.job(retry=trioq.Retry(max_attempts=2))
    async def resume(job: trioq.Job, text: str) -> None:
        seen.append(job.previous)
        job.progress(0.5)
        if job.attempt == 1:
            raise RuntimeError("no")

    await world.start()
    world.enqueue("resume", payload={"text": "x" * 50_000})
    await world.reported(JobSucceeded)
    assert [each and each.fraction for each in seen] == [None, 0.5]
