"""Both stores: schedules move on from tick to tick, each once."""

from __future__ import annotations

import attrs
import pytest

from tests.store.drive import line
from tests.store.world import SECOND, Make, World
from tests.support import new_job
from trioq.core.calls import NewJob
from trioq.core.schedules.tick import Mark, Tick, Ticked
from trioq.core.settlements import Ack, DeadLetter
from trioq.errors import QueueFull

MINUTE = 60 * SECOND


def put(w: World, row: bytes = b"{}", next_ms: int | None = None, name: str = "nightly") -> bool:
    return w.store.put_schedule(*w.sender.next(), name, row, next_ms)


def fires(at: int, job: NewJob, alive_max: int | None = None, following: int = MINUTE) -> Tick:
    mark = Mark(at, "fired", 7, job.uid)
    return Tick("nightly", b"{}", at, at + following, (mark,), alive_max)


def tick(w: World, at: int, alive_max: int | None = None) -> tuple[Ticked, str]:
    job = new_job("low", id=f"schedule:nightly:{at}")
    return w.store.tick(*w.sender.next(), fires(at, job, alive_max), job), job.uid


def test_who_sees_a_tick_first_makes_it_and_nobody_else(world: Make) -> None:
    w = world()
    at = w.clock()
    put(w, b"{}", at)
    done, uid = tick(w, at)
    assert done == Ticked("ok")
    after = w.dump()
    assert tick(w, at)[0] == Ticked("moved")
    assert w.queue("low").ready == (uid,)
    assert (after.ticks, after.runs) == ({"nightly": at + MINUTE}, {"nightly": (uid,)})
    assert after.ticked == {"nightly": (f"{at} fired 7 {uid}",)}


def test_who_saw_it_say_something_else_doesnt_make_a_tick(world: Make) -> None:
    """It may come sooner by now than who read it before knows."""
    w = world()
    at = w.clock()
    put(w, b"before", at)
    put(w, b"{}", at + MINUTE)
    job = new_job("low")
    before = attrs.evolve(fires(at, job), row=b"before")
    assert w.store.tick(*w.sender.next(), before, job) == Ticked("moved")
    assert tick(w, at)[0] == Ticked("ok")


def test_the_same_request_again_changes_nothing(world: Make) -> None:
    w = world()
    at = w.clock()
    put(w, b"{}", at)
    number, job = w.sender.next(), new_job("low")
    assert w.store.tick(*number, fires(at, job), job) == Ticked("ok")
    after = w.dump()
    assert w.store.tick(*number, fires(at, job), job) == Ticked("ok")
    assert w.dump() == after


def test_a_refused_tick_is_refused_for_good(world: Make) -> None:
    w = world()
    at = w.clock()
    job = new_job("low")
    assert w.store.tick("other", 1, fires(at, job), job) == Ticked("moved")
    put(w, b"{}", at)
    assert w.store.tick("other", 1, fires(at, job), job) == Ticked("moved")
    assert w.queue("low").ready == ()


def test_ticks_that_were_passed_over_are_accounted_for(world: Make) -> None:
    w = world()
    at = w.clock()
    put(w, b"{}", at)
    marks = tuple(Mark(at + i * MINUTE, "missed", 5) for i in range(3))
    move = Tick("nightly", b"{}", at, at + 3 * MINUTE, marks)
    assert w.store.tick(*w.sender.next(), move, None) == Ticked("ok")
    found = w.dump()
    assert found.ticked["nightly"] == tuple(mark.stored for mark in marks)
    assert (found.ticks["nightly"], found.runs, found.jobs) == (at + 3 * MINUTE, {}, {})


def test_of_twenty_ticks_is_kept_what_became_of_them(world: Make) -> None:
    w = world()
    first = at = w.clock()
    put(w, b"{}", at)
    for _ in range(25):
        assert tick(w, at)[0].word == "ok"
        at += MINUTE
    kept = [int(line.split()[0]) for line in w.dump().ticked["nightly"]]
    assert kept == [first + i * MINUTE for i in range(5, 25)]


def test_what_has_no_other_tick_stands_nowhere(world: Make) -> None:
    w = world()
    at, job = w.clock(), new_job("low")
    put(w, b"{}", at)
    move = Tick("nightly", b"{}", at, None, (Mark(at, "fired", 0, job.uid),))
    assert w.store.tick(*w.sender.next(), move, job) == Ticked("ok")
    assert (w.dump().ticks, w.dump().schedules) == ({}, {"nightly": b"{}"})


@pytest.mark.parametrize(("most", "runs"), [(0, 1), (1, 2)])
def test_no_more_runs_are_alive_than_may_be(world: Make, most: int, runs: int) -> None:
    w = world()
    at = w.clock()
    put(w, b"{}", at)
    uids = list[str]()
    for _ in range(runs):
        done, uid = tick(w, at, most)
        assert done == Ticked("ok")
        uids.append(uid)
        at += MINUTE
    before = w.dump()
    assert tick(w, at, most)[0] == Ticked("alive", uids[-1])
    assert (w.dump().ticks, w.dump().jobs) == (before.ticks, before.jobs)
    engine = w.engine()
    claim = engine.claim()
    assert tick(w, at, most)[0] == Ticked("alive", uids[-1])  # it runs
    engine.step(0, Ack(claim.uid, 1))
    assert tick(w, at, most)[0] == Ticked("ok")


def test_a_dead_run_holds_nobody_up(world: Make) -> None:
    w = world()
    at = w.clock()
    put(w, b"{}", at)
    _, uid = tick(w, at, 0)
    engine = w.engine()
    claim = engine.claim()

    engine.step(0, DeadLetter(claim.uid, 1, 4, "failures", line("no")))
    assert uid in w.dump().dead
    assert tick(w, at + MINUTE, 0)[0] == Ticked("ok")


def test_a_schedule_that_was_put_back_in_time_doesnt_fire_again(world: Make) -> None:
    w = world()
    at = w.clock()
    put(w, b"{}", at)
    _, uid = tick(w, at)
    put(w, b"")
    put(w, b"{}", at)
    assert tick(w, at)[0] == Ticked("known", uid)
    found = w.dump()
    assert found.ticks["nightly"] == at + MINUTE
    assert found.runs == {}
    assert found.ticked["nightly"][0].startswith(f"{at} known 7 ")


def test_where_there_is_no_room_the_schedule_stays(world: Make) -> None:
    w = world(max_lengths={"low": 1})
    at = w.clock()
    put(w, b"{}", at)
    w.new("low")
    before = w.dump()
    with pytest.raises(QueueFull, match="1 of at most 1"):
        tick(w, at)
    assert (w.dump().ticks, w.dump().ticked) == (before.ticks, {})


def test_a_changed_schedule_comes_when_it_says_from_now_on(world: Make) -> None:
    w = world()
    assert put(w, b"1", w.clock() + MINUTE)
    assert not put(w, b"1", w.clock() + 2 * MINUTE), "that was no change"
    assert w.dump().ticks == {"nightly": w.clock() + MINUTE}
    assert put(w, b"2", w.clock() + 3 * MINUTE)
    assert w.dump().ticks == {"nightly": w.clock() + 3 * MINUTE}
    assert put(w, b"3", None)
    assert w.dump().ticks == {}


def test_a_tick_that_has_come_stays_whatever_changes(world: Make) -> None:
    w = world()
    at = w.clock()
    put(w, b"1", at)
    assert put(w, b"2", at + MINUTE)
    assert w.dump().ticks == {"nightly": at}


def test_with_a_schedule_the_limit_of_runs_that_wait_for_one_another_is_known(world: Make) -> None:
    w = world()
    put(w)
    takes = tuple(('@schedule:"nightly"', '@schedule:"other"')[n % 2] for n in range(4))
    w.sender.enqueue(*(new_job("low", takes=(take,)) for take in takes))
    assert len(w.engine().step(4)) == 2, "one of each"


def test_of_a_removed_schedule_nothing_stays(world: Make) -> None:
    w = world()
    at = w.clock()
    put(w, b"{}", at)
    tick(w, at)
    assert put(w, b"")
    assert not put(w, b"")
    found = w.dump()
    assert (found.schedules, found.ticks, found.runs, found.ticked) == ({}, {}, {}, {})
    assert len(found.jobs) == 1


def test_a_tick_may_come_later_and_wait_for_its_turn(world: Make) -> None:
    w = world()
    at, job = w.clock(), new_job("low", delay_ms=5 * SECOND)
    put(w, b"{}", at)
    assert w.store.tick(*w.sender.next(), fires(at, job), job) == Ticked("ok")
    assert w.queue("low").scheduled == {job.uid: at + 5 * SECOND}
