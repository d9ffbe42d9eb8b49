"""Both stores: what clients ask, they answer alike. Each scene is played on both of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.store.drive import Driver, line
from tests.store.world import SECOND, World
from tests.support import Server, new_job, unwanted
from trioq.core.calls import Enqueuer, MustWait, NewJob, Note, Pausing
from trioq.core.fair import FairKey
from trioq.core.formats import pause, schedule
from trioq.core.formats.door import named
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Listed, SaidList
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.tick import Mark, Tick
from trioq.core.schedules.when import Every
from trioq.core.settlements import Ack, DeadLetter, Deliver, Park, RetryAt

Scene = Callable[[World], Any]
Both = Callable[..., Any]

BIG = b'{"text": "%s"}' % (b"x" * 100_000)


@pytest.fixture
def both(server: Server) -> Iterator[Both]:
    """Plays a scene on both stores, and answers what both answer."""
    made: list[World] = []

    def play(scene: Scene, **options: Any) -> Any:
        worlds = [World.of(kind, server, **options) for kind in ("redis", "memory")]
        made.extend(worlds)
        redis, memory = map(scene, worlds)
        assert redis == memory
        return memory

    yield play
    for each in made:
        each.close()


def engine(w: World, name: str = "e.1", names: tuple[str, ...] = ("noop",)) -> Driver:
    return Driver(w.store, ("high", "low"), names, engine=name)


def summed_up(job: NewJob, at_ms: int) -> bytes:
    told = {"uid": job.uid, "name": "noop", "queue": "low", "attempt": 2, "took_ms": 1.5}
    more = {"at_ms": at_ms, "enqueued_ms": at_ms, "engine": "e", "id": job.id}
    return json.dumps(told | more).encode()


def why(w: World, *jobs: NewJob) -> list[Any]:
    return [w.store.explain(job.uid) for job in jobs]


# -- where a job is ----------------------------------------------------------------------------


def test_a_job_is_found_wherever_it_waits(both: Both) -> None:
    ready = new_job(id="order-1", payload=b'{"n": 1}')
    later, odd, big = new_job(delay_ms=SECOND), new_job(payload=b"[1"), new_job(payload=BIG)

    def scene(w: World) -> Any:
        w.sender.enqueue(ready, later, odd, big)
        found = [w.store.find(name) for name in ("order-1", ready.uid, later.uid, odd.uid, big.uid)]
        return [*found, w.store.look(big.uid, None), w.store.look("nobody", "order-1")]

    views = both(scene)
    assert [view and view.state for view in views] == [
        "ready", "ready", "scheduled", "ready", "ready", "ready", None,
    ]  # fmt: skip
    assert views[4].payload == json.loads(BIG)
    assert views[5].payload is None


def test_nobody_knows_a_job_that_never_was(both: Both) -> None:
    def scene(w: World) -> Any:
        return [
            w.store.find("x"), w.store.look("x", "y"), w.store.record("x"), w.store.explain("x")
        ]  # fmt: skip

    assert both(scene)[:3] == [None, None, None]


def test_a_job_that_runs_is_told_with_its_engine_and_who_wants_it_to_end(both: Both) -> None:
    jobs = [new_job(), new_job()]

    def scene(w: World) -> Any:
        w.sender.enqueue(*jobs)
        driver = engine(w)
        driver.step(2)
        w.store.note(driver.engine, [Note(jobs[0].uid, driver.n, b'{"attempt": 1}')])
        w.store.cancel(*w.sender.next(), [unwanted(jobs[1].uid)])
        return [*(w.store.find(job.uid) for job in jobs), *why(w, *jobs)]

    first, asked, *_ = both(scene)
    assert (first.state, first.engine, asked.asked.by) == ("running", "e.1", "test")


def test_of_a_job_that_failed_its_errors_are_told(both: Both) -> None:
    failed, died = new_job(), new_job(id="unlucky")

    def scene(w: World) -> Any:
        w.sender.enqueue(failed, died)
        driver = engine(w)
        driver.step(2)
        driver.step(
            0,
            RetryAt(failed.uid, driver.n, 5 * SECOND, 1, line("once")),
            DeadLetter(died.uid, driver.n, 1, "failures", line("too often")),
        )
        return [*(w.store.find(job.uid) for job in (failed, died)), *why(w, failed, died)]

    first, second, *_ = both(scene)
    assert (first.state, second.state, second.reason) == ("scheduled", "dead", "failures")
    assert first.attempts[0].error.message == "once"


def test_of_a_job_that_has_ended_as_much_is_told_as_is_kept(both: Both) -> None:
    done, kept, cancelled = new_job(id="done"), new_job(id="kept"), new_job(id="cancelled")
    forgotten = new_job(id="forgotten")

    def scene(w: World) -> Any:
        w.sender.enqueue(done, kept, cancelled, forgotten)
        w.store.cancel(*w.sender.next(), [unwanted(cancelled.uid)])
        driver = engine(w)
        driver.step(4)
        driver.step(
            0,
            Ack(done.uid, driver.n, summed_up(done, w.clock())),
            Deliver(kept.uid, driver.n, 60 * SECOND, "done", b"5", b""),
            Ack(forgotten.uid, driver.n, b""),
        )
        jobs = (done, kept, cancelled, forgotten)
        found = [w.store.find(job.uid) for job in jobs] + [w.store.find(job.id) for job in jobs]
        found += [w.store.look(job.uid, job.id) for job in jobs]
        w.clock.ms += 60 * SECOND
        return [*found, w.store.find(kept.uid), *why(w, *jobs)]

    found = both(scene)
    assert [view and view.state for view in found[:8]] == [
        "done", "done", "cancelled", None, "done", "done", "cancelled", "done",
    ]  # fmt: skip
    assert (found[1].has_result, found[12]) == (True, None)


def test_a_record_is_as_it_was_enqueued_until_its_job_ends(both: Both) -> None:
    job = new_job(id="order-1")

    def scene(w: World) -> Any:
        w.sender.enqueue(job)
        before, driver = w.store.record(job.uid), engine(w)
        driver.claim()
        driver.step(0, Ack(job.uid, driver.n, b""))
        return before, w.store.record(job.uid)

    before, after = both(scene)
    assert (before.id, before.queue, after) == ("order-1", "low", None)


# -- why it doesn't run ------------------------------------------------------------------------


def reasons(explanations: list[Any]) -> list[list[str]]:
    return [[reason.why for reason in each.reasons] for each in explanations]


def test_nothing_stops_the_first_and_the_others_come_after_it(both: Both) -> None:
    jobs = [new_job(), new_job(), new_job(fair=FairKey('"a"')), new_job(fair=FairKey('"b"'))]

    def scene(w: World) -> Any:
        engine(w)
        w.sender.enqueue(*jobs)
        return why(w, *jobs)

    assert reasons(both(scene)) == [["none"], ["in_line"], ["none"], ["in_line"]]


def test_the_rate_of_the_last_minute_says_when(both: Both) -> None:
    ended, jobs = [new_job() for _ in range(3)], [new_job(), new_job()]

    def scene(w: World) -> Any:
        driver = engine(w)
        for job in ended:
            w.sender.enqueue(job)
            driver.claim()
            driver.step(0, Ack(job.uid, driver.n, summed_up(job, w.clock())))
            w.clock.ms += SECOND
        w.sender.enqueue(*jobs)
        return why(w, *jobs)

    assert "at the rate of the last minute" in both(scene)[1].reasons[0].says


def test_pauses_engines_and_times_are_said(both: Both) -> None:
    later, other = new_job(delay_ms=60 * SECOND), new_job(name="other")

    def scene(w: World) -> Any:
        w.sender.enqueue(later, other)
        alone = why(w, later, other)
        engine(w)
        how = Pausing(pause.encode("mia", "move"), 30 * SECOND)
        w.store.pause(*w.sender.next(), "low", True, how)
        w.store.pause(*w.sender.next(), "@other", True)
        paused = why(w, later, other)
        w.clock.ms += 30 * SECOND
        return alone + paused + why(w, later, other)

    assert reasons(both(scene)) == [
        ["due", "no_engine"], ["no_engine"],
        ["due", "paused"], ["paused", "paused", "unknown_name"],
        ["due"], ["paused", "unknown_name"],
    ]  # fmt: skip


def test_what_lies_behind_a_door_is_told_with_its_door(both: Both) -> None:
    unknown, unfit = new_job(name="noops"), new_job()

    def scene(w: World) -> Any:
        w.sender.enqueue(unknown, unfit)
        driver = engine(w)
        driver.step(2)
        driver.step(
            0,
            Park(unknown.uid, driver.n, "low", "noops"),
            Park(unfit.uid, driver.n, "low", named("noop", ["abc"])),
        )
        return [*why(w, unknown, unfit), w.store.find(unknown.uid)]

    *told, view = both(scene)
    assert reasons(told) == [["unknown_name"], ["unfit_payload"]]
    assert view.state == "parked"


def test_who_waits_for_a_limit_is_told_which_and_when(both: Both) -> None:
    runs, waits = new_job(takes=("one",), id="holder"), new_job(takes=("one",))
    starts, rated, third = (new_job(takes=("slow",)) for _ in range(3))

    def scene(w: World) -> Any:
        settings = LimitSettings(interval_us=60_000_000)
        w.store.set_limits({"one": LimitSettings(concurrency=1), "slow": settings}, 1)
        w.sender.enqueue(runs, waits, starts, rated, third)
        driver = engine(w)
        driver.step(5)
        return why(w, runs, waits, starts, rated, third)

    told = both(scene)
    assert [each.state for each in told] == ["running", "limited", "running", "limited", "limited"]
    assert "holder" in str(told[1].reasons[0].data)


def test_who_waits_for_room_is_told_so(both: Both) -> None:
    there, waits = new_job(), [new_job(id="first"), new_job()]

    def scene(w: World) -> Any:
        w.sender.enqueue(there)
        for job in waits:
            with pytest.raises(MustWait):
                w.store.enqueue(*w.sender.next(), [job], who=Enqueuer("client"))
        return [w.store.explain("first"), *why(w, *waits, there)]

    told = both(scene, max_lengths={"low": 1}, when_full={"low": "wait"})
    assert reasons(told) == [["full"], ["full"], ["full"], ["no_engine"]]


def test_a_suspect_and_one_behind_busy_workers_are_told_so(both: Both) -> None:
    jobs = [new_job() for _ in range(3)]

    def scene(w: World) -> Any:
        info = {"name": "e", "pid": 1, "queues": ["low"], "names": ["noop"], "workers": 1}
        w.sender.enqueue(*jobs[:2])
        driver = engine(w, "e.2")
        driver.step(2)
        w.reap(driver)
        w.store.register("e.1", json.dumps(info).encode())
        told = why(w, *jobs[:2])
        driver = Driver(w.store, ("low",), engine="e.3")
        driver.claim()
        w.sender.enqueue(jobs[2])
        return told + why(w, jobs[2])

    assert reasons(both(scene))[:2] == [["suspect"], ["suspect"]]


def test_all_jobs_are_told_wherever_they_are(both: Both) -> None:
    jobs = [new_job(id=f"own-{i}") for i in range(5)]
    limited, later = [new_job(takes=("l",)) for _ in range(2)], new_job(delay_ms=SECOND)

    def scene(w: World) -> Any:
        w.store.set_limits({"l": LimitSettings(concurrency=1)}, 1)
        w.sender.enqueue(*jobs)
        driver = engine(w)
        driver.step(4)
        driver.step(
            0,
            DeadLetter(jobs[0].uid, driver.n, 1, "give_up", line("late")),
            Ack(jobs[1].uid, driver.n, summed_up(jobs[1], w.clock())),
            Park(jobs[2].uid, driver.n, "low", "noop"),
        )
        w.sender.enqueue(*limited, later)
        driver.step(3)
        return w.store.jobs()

    told = both(scene)
    states = ["dead", "done", "parked", "running", "running", "running", "limited", "scheduled"]
    assert [view.uid for view in told] == sorted(job.uid for job in (*jobs, *limited, later))
    assert [view.state for view in told] == states


# -- schedules ---------------------------------------------------------------------------------


def test_schedules_are_told_with_their_ticks_whose_they_are_and_when_they_come(both: Both) -> None:
    row = schedule.encode(Schedule("nightly", Every(60 * SECOND), "noop", "low"))
    job = new_job()

    def scene(w: World) -> Any:
        at, put = w.clock(), w.store.put_schedule
        put(*w.sender.next(), "nightly", row, at)
        put(*w.sender.next(), "broken", b"{", None)
        mark = Mark(at, "fired", 7, job.uid)
        w.store.tick(*w.sender.next(), Tick("nightly", row, at, at + SECOND, (mark,), None), job)
        w.store.pause(*w.sender.next(), pause.of_schedule("nightly"), True, Pausing(b"{}", SECOND))
        driver = engine(w)
        listed = (Listed("hourly", row, at + SECOND),)
        w.store.list_schedules(driver.engine, SaidList("shop", "d1", listed))
        w.store.list_schedules(driver.engine, SaidList("shop", "d2", ()))
        before = w.store.schedule_views()
        w.clock.ms += SECOND
        return [before, w.store.schedule_views(["nightly", "none"]), w.store.now_ms()]

    before, after, _ = both(scene)
    assert [(view.name, view.state) for view in before] == [
        ("broken", "unreadable"), ("hourly", "unlisted"), ("nightly", "paused"),
    ]  # fmt: skip
    assert [view.state for view in after] == [""]
