"""Both stores: jobs that nobody wants any more, whether they wait or run."""

from __future__ import annotations

import pytest

from tests.store.drive import line
from tests.store.world import Make, World, bury
from tests.support import cancelled_by, new_job
from trioq.core.calls import CANCEL_MAX, Ask, Beat, End, StepReply, Unwanted
from trioq.core.settlements import Ack, Cancel, DeadLetter, Park, Release, RetryAt
from trioq.errors import TrioqBug

LINE = line("no")
WHY = b'{"state":"cancelled"}'


def ask(w: World, uid: str, why: bytes = WHY) -> str:
    (word,) = w.store.cancel(*w.sender.next(), [Unwanted(uid, "low", "noop", why)])
    return word


def test_one_write_cancels_jobs_wherever_they_are(world: Make) -> None:
    w = world()
    running, waits = w.new("high", "low")
    w.engine("high").step(1)
    jobs = [
        Unwanted(running, "high", "noop", b'{"a":1}'),
        Unwanted(waits, "low", "noop", b'{"b":2}'),
    ]
    number = w.sender.next()
    told = ["asked", "cancelled", "unknown", "unknown"]
    asked = [*jobs, jobs[1], Unwanted("f" * 32, "low", "other")]
    assert w.store.cancel(*number, asked) == told
    assert w.store.cancel(*number, asked) == told, "sent again"
    assert w.dump().done == (b'{"b":2}',)
    assert w.dump().jobs.keys() == {running}


def test_so_many_are_cancelled_in_one_write_and_no_more(world: Make) -> None:
    w = world()
    job = Unwanted("a" * 32, "low", "noop")
    assert w.store.cancel(*w.sender.next(), [job] * CANCEL_MAX) == ["unknown"] * CANCEL_MAX
    with pytest.raises(TrioqBug, match="at most"):
        w.store.cancel(*w.sender.next(), [job] * (CANCEL_MAX + 1))


def test_a_cancel_of_many_that_are_parked_or_run_is_one_write(world: Make) -> None:
    w = world()
    made = [w.sender.enqueue_new() for _ in range(CANCEL_MAX)]
    engine = w.engine()
    engine.step(CANCEL_MAX)
    half = CANCEL_MAX // 2
    engine.step(0, *(Park(uid, 1, "low", "noop") for uid in made[:half]))
    told = w.store.cancel(*w.sender.next(), [Unwanted(uid, "low", "noop") for uid in made])
    assert told == ["cancelled"] * half + ["asked"] * half
    assert w.dump().behind == frozenset()


def test_an_ask_is_told_to_the_engine_until_it_says_that_it_knows(world: Make) -> None:
    w = world()
    first, second = w.new("low", "low")
    engine = w.engine()
    engine.step(2)
    assert [ask(w, uid) for uid in (first, second, first)] == ["asked"] * 3
    told = engine.ask(0)
    assert (told.asked, told.asks) == (2, (Ask(first, 1, WHY), Ask(second, 1, WHY)))
    assert engine.ask(0, asked=1).asks == (Ask(second, 1, WHY),)
    assert engine.ask(0, asked=2).asked is None
    beat = w.store.beat(engine.engine)
    assert isinstance(beat, Beat)
    assert beat.asked == 2


def test_an_ask_rings_the_bell_of_its_engine_alone(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine, other = w.engine(), w.engine()
    engine.step(1)
    w.store.wait(["low"], 0.001)
    ask(w, uid)
    assert not w.store.wait(["low"], 0.001, other.engine)
    assert w.store.wait([], 0.001, engine.engine)
    ask(w, uid)
    assert w.store.wait([], 0.001, engine.engine), "the first ring may have been lost"


def test_asks_are_told_in_the_order_in_which_they_came(world: Make) -> None:
    w = world()
    made = w.new(*["low"] * 40)
    engine = w.engine()
    engine.step(40)
    wanted = made[::3] + made[1::3] + made[2::3]
    for uid in wanted:
        ask(w, uid, WHY * 10)  # as long as they are: the server keeps many short ones in order
    assert [each.uid for each in engine.ask(0).asks] == wanted
    assert [each.uid for each in engine.ask(0, asked=30).asks] == wanted[30:]


def test_who_knows_of_more_asks_than_there_were_is_told_all(world: Make) -> None:
    """The server went back in time."""
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    ask(w, uid)
    told = engine.ask(0, asked=5)
    assert (told.asked, told.asks) == (1, (Ask(uid, 1, WHY),))


@pytest.mark.parametrize("how", ["release", "retry", "park", "reap", "sign_off"])
def test_who_was_asked_to_end_never_runs_again(world: Make, how: str) -> None:
    w = world()
    uid, other = w.new("low", "low")
    engine = w.engine()
    engine.step(2)
    ask(w, uid)
    match how:
        case "release":
            assert engine.ask(0, Release(uid, 1)).cancelled == {uid}
        case "retry":
            assert engine.ask(0, RetryAt(uid, 1, 0, 1, LINE)).cancelled == {uid}
        case "park":
            assert engine.ask(0, Park(uid, 1, "low", "noop")).cancelled == {uid}
        case "reap":
            w.reap(engine)
        case _:
            w.store.sign_off(engine.engine)
    left = w.dump()
    assert left.jobs.keys() == {other}
    assert left.done == (WHY,)
    assert left.asks == {}
    assert left.stats["cancelled"] == 1
    assert left.reaps == {}


@pytest.mark.parametrize("how", ["ack", "dead"])
def test_a_job_that_ended_before_it_was_stopped_has_ended_so(world: Make, how: str) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    ask(w, uid)
    ends = {"ack": Ack(uid, 1, b"{}"), "dead": DeadLetter(uid, 1, 1, "failures", LINE)}
    assert engine.ask(0, ends[how]).cancelled == frozenset()
    assert "cancelled" not in w.dump().stats
    assert w.dump().asks == {}


def test_an_ask_is_of_one_claim(world: Make) -> None:
    """Who died and was revived may be put back, whatever was asked before."""
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    ask(w, uid)
    engine.ask(0, DeadLetter(uid, 1, 1, "failures", LINE))
    w.store.revive(*w.sender.next(), [(uid, "low")])
    engine.step(1)
    assert engine.ask(0, Release(uid, 3)).cancelled == frozenset()
    assert w.queue("low").ready == (uid,)


def test_a_late_copy_of_a_cancel_does_not_cancel_what_waits_again(world: Make) -> None:
    w = world()
    (uid,) = bury(w, new_job())
    number = w.sender.next()
    assert cancelled_by(w.store, *number, uid, "low", "noop") == "dead"
    w.store.revive("another", 1, [(uid, "low")])
    assert cancelled_by(w.store, *number, uid, "low", "noop") == "dead"
    assert w.queue("low").ready == (uid,)


def test_an_engine_cancels_what_it_has_stopped(world: Make) -> None:
    w = world()
    (uid,) = w.new("low")
    engine = w.engine()
    engine.step(1)
    assert not engine.ask(0, Cancel(uid, 1, WHY)).refused
    assert (w.dump().jobs, w.dump().done) == ({}, (WHY,))


def test_who_waits_for_a_cancelled_job_is_told_who_why_and_when(world: Make) -> None:
    w = world()
    waits, runs = w.new("low", "high")
    asked = [(waits, None), (runs, None)]
    assert [end.state for end in w.store.wait_for("c", asked)] == ["live", "live"]
    engine = w.engine("high")
    engine.step(1)
    w.store.cancel(*w.sender.next(), [Unwanted(waits, "low", "noop", WHY)])
    w.store.cancel(*w.sender.next(), [Unwanted(runs, "high", "noop", WHY, 90_000)])
    engine.ask(0, Release(runs, 1))
    assert w.store.wait_for("c", asked) == [End("cancelled", WHY)] * 2
    w.clock.ms += 60_000
    assert [end.state for end in w.store.wait_for("c", asked)] == ["expired", "cancelled"]


def test_a_step_that_comes_again_tells_again_whose_job_was_cancelled(world: Make) -> None:
    w = world()
    uid, other = w.new("low", "low")
    engine = w.engine()
    engine.step(2)
    ask(w, uid)
    step = engine.make(0, Release(uid, 1), Release(other, 1), Release("f" * 32, 1))
    first, again = w.store.step(step), w.store.step(step)
    assert isinstance(first, StepReply)
    assert isinstance(again, StepReply)
    assert (again.cancelled, again.refused) == (first.cancelled, first.refused)
    assert (first.cancelled, first.refused) == ({uid}, {"f" * 32})
