"""Both stores: a bell rings for whatever can be claimed, once."""

from __future__ import annotations

from tests.dump import Waiting
from tests.store.drive import Driver
from tests.store.world import SECOND, Make, World, died, uids
from tests.support import cancelled_by
from trioq.core.settlements import Ack, Release


def rings(w: World, *queues: str) -> bool:
    """Whether a bell of these rings; it is heard by that."""
    return w.store.wait(queues, 0.001)


def test_a_bell_rings_once_however_much_there_is(world: Make) -> None:
    w = world()
    assert not rings(w, "low")
    w.new("low", "low")
    assert not rings(w, "high")
    assert rings(w, "high", "low")
    assert not rings(w, "low")


def test_jobs_that_come_by_themselves_ring_once_whoever_left_the_bell(world: Make) -> None:
    w = world()
    w.sender.enqueue_new("low")
    w.sender.enqueue_new("low")
    assert rings(w, "low")
    assert not rings(w, "low")
    w.sender.enqueue_new("low")
    assert rings(w, "low"), "others lie there, whose bell was heard"
    w.sender.enqueue_new("low")
    assert len(w.engine().step(4)) == 4
    w.sender.enqueue_new("low")
    assert rings(w, "low")
    assert not rings(w, "low"), "the bell of who was taken without it was there"


def test_a_step_that_leaves_something_rings_again(world: Make) -> None:
    w = world()
    w.new("low", "low", "low")
    engine = w.engine()
    assert rings(w, "low")
    engine.step(2)
    assert rings(w, "low")
    engine.step(2)
    assert not rings(w, "low")


def test_a_bell_rings_for_what_is_hastened(world: Make) -> None:
    w = world()
    later = w.sender.enqueue_new(delay_ms=3_600_000)
    rings(w, "low")
    assert w.store.hasten(*w.sender.next(), "low", later)
    assert rings(w, "low")


def test_a_bell_rings_for_what_comes_back_and_for_what_is_due(world: Make) -> None:
    w = world()
    engine = w.engine()
    (uid,) = w.new("low")
    w.sender.enqueue_new("high", delay_ms=SECOND)
    assert rings(w, "low")
    assert rings(w, "high"), "nothing is due yet, but an idle engine has to hear when"
    assert not rings(w, "high")
    engine.step(1)
    engine.step(0, Release(uid, 1))
    assert rings(w, "low"), "released"
    engine.step(1)
    w.store.sign_off(engine.engine)
    assert rings(w, "low"), "signed off"
    engine = w.engine()
    engine.step(1)
    w.reap(engine)
    assert rings(w, "low"), "reaped"
    engine = w.engine()
    engine.step(1)
    engine.step(0, Release(uid, 1))
    assert rings(w, "low"), "a suspect, released"
    w.clock.ms += SECOND
    engine.step(0)
    assert rings(w, "high"), "promoted"


def test_whoever_takes_a_suspect_rings_for_the_next(world: Make) -> None:
    w = world()
    died(w, "low", "low")
    assert rings(w, "low")
    w.engine().step(1)
    assert rings(w, "low")
    w.engine().step(1)
    assert not rings(w, "low")


def test_a_cancelled_job_is_nothing_to_ring_for(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    assert rings(w, "low")
    cancelled_by(w.store, *w.sender.next(), uid, "low", "noop")
    w.engine().step(0)
    assert not rings(w, "low")
    assert w.queue("low") == Waiting(ready=(uid,), dropped=frozenset([uid]))
    assert w.engine().step(1) == ()
    assert w.queue("low") == Waiting()


def test_engines_that_come_and_go_do_each_job_once(world: Make) -> None:
    w = world()
    queued = w.new(*["low", "high"] * 50)
    done: list[str] = []
    for turn in range(40):
        engine: Driver = w.engine()
        claims = engine.step(7)
        some = claims[: len(claims) // 2 + 1]
        engine.step(0, *(Ack(claim.uid, 1) for claim in some))
        done += uids(some)
        if turn % 2:
            w.reap(engine, max_reaps=1000)
        else:
            w.store.sign_off(engine.engine)
    engine = w.engine()
    while claims := engine.step(9):
        claimed_by = engine.n
        engine.step(0, *(Ack(claim.uid, claimed_by) for claim in claims))
        done += uids(claims)
    assert sorted(done) == sorted(queued)
    assert w.dump().jobs == {}
