"""Both stores: a queue that jobs wait in is named; one that nothing is in can be forgotten."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dump import Waiting
from tests.store.drive import Driver
from tests.store.world import SECOND, Make, World, bury
from tests.support import cancelled_by, new_job
from trioq.core.calls import Admit
from trioq.core.fair import fair_key
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, DeadLetter, Park, Release, RetryAt, Settlement


def test_a_queue_that_is_empty_is_forgotten_with_its_bell(world: Make) -> None:
    w = world()
    w.new("invented", "other")
    engine = w.engine("invented", "other")
    engine.step(0, *(Ack(claim.uid, 1) for claim in engine.step(2)))
    assert w.dump().used == w.dump().bells == {"invented", "other"}
    w.store.forget_queues(["invented", "never used"])
    assert (w.dump().used, w.dump().bells) == ({"other"}, {"other"})


def refused(w: World) -> None:
    """A job waits for a limit that another, of another queue, has taken all of."""
    w.store.set_limits({"one": LimitSettings(concurrency=1)}, 1)
    w.sender.enqueue(new_job("high", takes=("one",)), new_job("low", takes=("one",)))
    assert len(w.engine("high", "low").step(2)) == 1
    w.store.forget_queues(["high"])


WAYS: dict[str, Callable[[World], object]] = {
    "ready": lambda w: w.new("low"),
    "scheduled": lambda w: w.sender.enqueue_new("low", delay_ms=SECOND),
    "suspect": lambda w: w.reap(claimed(w)[0]),
    "parked": lambda w: settled(w, lambda uid: Park(uid, 1, "low", "noop")),
    "fair": lambda w: w.sender.enqueue(new_job("low", fair=fair_key("acme"))),
    "limited": refused,
    "paused": lambda w: (w.store.pause(*w.sender.next(), "low", True), ended(w)),
}


def claimed(w: World) -> tuple[Driver, str]:
    """An engine, and the job in ``low`` that it runs."""
    w.new("low")
    engine = w.engine("low")
    return engine, engine.claim().uid


def settled(w: World, how: Callable[[str], Settlement]) -> None:
    engine, uid = claimed(w)
    engine.step(0, how(uid))


def ended(w: World) -> None:
    """A job has been in ``low``, and it is over."""
    uid = w.sender.enqueue_new("low", delay_ms=SECOND)
    assert cancelled_by(w.store, *w.sender.next(), uid, "low", "noop") == "cancelled"


@pytest.mark.parametrize("way", WAYS)
def test_a_queue_in_use_stays_named(world: Make, way: str) -> None:
    w = world()
    WAYS[way](w)
    before = w.dump()
    w.store.forget_queues(["low"])
    assert w.dump() == before
    assert before.used == {"low"}


@pytest.mark.parametrize("way", WAYS)
def test_a_step_of_many_queues_leaves_those_in_use_their_names(world: Make, way: str) -> None:
    w = world(many_queues=1)
    WAYS[way](w)
    assert w.dump().used == {"low"}
    w.engine("high", "low").step(0)
    assert w.dump().used == {"low"}


@pytest.mark.parametrize("many", [1, 2])
def test_a_step_of_many_queues_takes_the_names_and_bells_of_those_that_nothing_is_in(
    world: Make, many: int
) -> None:
    w = world(many_queues=many)
    settled(w, lambda uid: Ack(uid, 1))
    assert w.dump().used == w.dump().bells == {"low"}
    w.engine("high", "low").step(0)
    assert w.dump().used == w.dump().bells == ({"low"} if many == 2 else set())


GIVEN_BACK: dict[str, Callable[[World, Driver, str], object]] = {
    "released": lambda w, e, uid: e.step(0, Release(uid, 1)),
    "retried": lambda w, e, uid: e.step(0, RetryAt(uid, 1, SECOND, 1)),
    "parked": lambda w, e, uid: e.step(0, Park(uid, 1, "low", "noop")),
    "signed off": lambda w, e, uid: w.store.sign_off(e.engine),
    "reaped": lambda w, e, uid: w.reap(e),
    "revived": lambda w, e, uid: (
        e.step(0, DeadLetter(uid, 1, 1, "gave_up", b"")),
        w.store.revive(*w.sender.next(), [(uid, "low")]),
    ),
}


@pytest.mark.parametrize("way", GIVEN_BACK)
def test_whoever_gives_a_job_back_names_its_queue_again(world: Make, way: str) -> None:
    w = world()
    engine, uid = claimed(w)
    w.store.forget_queues(["low"])
    assert w.dump().used == frozenset()
    GIVEN_BACK[way](w, engine, uid)
    assert w.dump().used == {"low"}
    w.clock.ms += SECOND
    engine = w.engine("low")
    claims = engine.ask(1, suspect=True, admits=(Admit("low", "noop", 1),)).claims
    assert [claim.uid for claim in claims] == [uid]


def test_the_end_of_a_job_names_nothing(world: Make) -> None:
    w = world()
    engine, uid = claimed(w)
    w.store.forget_queues(["low"])
    engine.step(0, Ack(uid, 1))
    (dead,) = bury(w, new_job("low"))
    w.store.forget_queues(["low"])
    w.store.purge_dead(*w.sender.next(), [dead])
    assert (w.dump().used, w.dump().bells) == (frozenset(), frozenset())


def test_what_was_cancelled_and_still_lies_there_goes_with_its_queue(world: Make) -> None:
    w = world()
    gone, left = w.new("low", "low")
    cancelled_by(w.store, *w.sender.next(), gone, "low", "noop")
    w.store.forget_queues(["low"])
    assert w.queue("low") == Waiting(ready=(gone, left), dropped=frozenset([gone]))
    cancelled_by(w.store, *w.sender.next(), left, "low", "noop")
    w.store.forget_queues(["low"])
    assert (w.dump().used, w.dump().bells, w.queue("low")) == (frozenset(), frozenset(), Waiting())


def test_resuming_a_queue_that_was_never_used_leaves_no_bell(world: Make) -> None:
    w = world()
    w.store.pause(*w.sender.next(), "invented", True)
    w.store.pause(*w.sender.next(), "invented", False)
    assert (w.dump().used, w.dump().bells, w.dump().paused) == (frozenset(),) * 3
