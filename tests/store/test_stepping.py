"""Of many queues, a step names those that anything can be in."""

from __future__ import annotations

import attrs
import pytest

from tests.store.drive import Driver, Sender
from tests.store.world import uids
from tests.support import Server, new_job
from trioq.core.calls import Admit, Step, StepReply
from trioq.core.settlements import Ack, Release
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore
from trioq.store.stepping import LOOK_AT_ALL_S, Narrowing

QUEUES = tuple("abcdef")


@attrs.define
class Asking:
    """Somebody who asks for steps, and the names that are in use when he does."""

    in_use: set[str] = attrs.field(factory=set[str])
    now: float = 0.0
    number: int = 0
    narrowing: Narrowing = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.narrowing = Narrowing(4, lambda: self.now)

    def step(self, **more: object) -> Step:
        self.number += 1
        return attrs.evolve(Step("e", self.number, 1, QUEUES), **more)

    def queues(self, step: Step) -> str:
        return "".join(self.narrowing.of(step, lambda: self.in_use).queues)


def test_those_in_use_are_named_in_the_order_of_the_step() -> None:
    asking = Asking({"e", "b", "other"})
    asking.queues(asking.step())
    assert asking.queues(asking.step()) == "be"
    assert asking.queues(asking.step(queues=QUEUES[::-1])) == "eb"
    assert asking.queues(asking.step(queues=("a", "b", "c", "d"))) == "abcd", "those aren't many"


def test_now_and_then_all_are_named() -> None:
    asking = Asking({"b"})
    assert asking.queues(asking.step()) == "abcdef"
    asking.now += LOOK_AT_ALL_S - 1
    assert asking.queues(asking.step()) == "b"
    asking.now += 1
    assert asking.queues(asking.step()) == "abcdef"
    assert asking.queues(asking.step()) == "b"


def test_a_job_may_go_back_to_any_queue_and_wait_at_any_door() -> None:
    asking = Asking({"b"})
    asking.queues(asking.step())
    assert asking.queues(asking.step(settlements=(Release("u", 1),))) == "abcdef"
    assert asking.queues(asking.step(settlements=(Ack("u", 1),))) == "b"
    assert asking.queues(asking.step(admits=(Admit("c", "noop", 1),))) == "bc"


def test_a_step_that_is_sent_again_is_the_same_again() -> None:
    asking = Asking({"b"})
    asking.queues(asking.step())
    step = asking.step()
    assert asking.queues(step) == "b"
    asking.in_use = {"c"}
    asking.now += LOOK_AT_ALL_S
    assert asking.queues(step) == "b"


def test_a_job_that_comes_into_any_of_many_queues_is_claimed_by_the_next_step(
    store: RedisStore,
) -> None:
    sender, engine = Sender(store), Driver(store, tuple(f"q{n:02}" for n in range(40)))
    engine.step(1)
    for queue in ("q39", "q00", "q17"):
        uid = sender.enqueue_new(queue)
        assert uids(engine.step(1)) == [uid]
        assert engine.step(1, Ack(uid, engine.n)) == ()
        assert store.lane.call("SMEMBERS", store.keys.fixed("queues")) == []


def test_whichever_of_many_bells_ends_a_wait_the_step_claims_there(store: RedisStore) -> None:
    sender, engine = Sender(store), Driver(store, tuple(f"q{n:02}" for n in range(40)))
    engine.step(1)
    uid = sender.enqueue_new("q39")
    reply = store.step_at_bell(engine.make(1), 5.0)
    assert isinstance(reply, StepReply)
    assert uids(reply.claims) == [uid]


def test_a_job_that_somebody_put_there_by_hand_is_found_by_and_by(server: Server) -> None:
    store = server.store(options=StoreOptions(many_queues=1))
    sender, engine = Sender(store), Driver(store)
    job = new_job("low")
    sender.enqueue(job)
    store.lane.call("DEL", store.keys.fixed("queues"))
    assert uids(engine.step(1)) == [job.uid], "the first looks at all"
    engine.step(0, Release(job.uid, 1))
    store.lane.call("DEL", store.keys.fixed("queues"))
    assert engine.step(1) == ()
    store._narrowing.clock = lambda: float("inf")
    assert uids(engine.step(1)) == [job.uid]
    store.lane.close()


@pytest.mark.direct  # nobody sends its steps again
def test_what_was_put_into_words_ahead_is_what_is_sent(store: RedisStore) -> None:
    sender, engine = Sender(store), Driver(store)
    uid, other = sender.enqueue_new(), sender.enqueue_new()
    assert set(uids(engine.step(2))) == {uid, other}
    first, second = engine.make(0, Ack(uid, 1)), engine.make(0, Ack(other, 1))
    words = store._encode(first)
    store.prepare(first)
    assert store._encode(first) == words
    assert store._encode(first) is store._encode(first), "once"
    assert store._encode(second) != words
    for step in (first, second):
        reply = store.step(step)
        assert isinstance(reply, StepReply)
        assert (reply.word, reply.refused) == ("ok", frozenset())
        assert store._ahead is None, "its results aren't kept"
    assert reply.held == 0


@pytest.mark.direct  # nobody sends its steps again
def test_what_waits_for_a_bell_leaves_what_follows_as_it_was_prepared(store: RedisStore) -> None:
    sender, engine = Sender(store), Driver(store)
    first, second = engine.make(1), engine.make(0)
    store.prepare(second)
    sender.enqueue_new()
    assert isinstance(store.step_at_bell(first, 5.0), StepReply)
    assert store._ahead is not None
    assert store._ahead[0] is second


def test_who_has_many_queues_asks_nothing_ahead(store: RedisStore) -> None:
    """The connection is another thread's at that moment."""
    engine = Driver(store, tuple(f"q{n:02}" for n in range(40)))
    engine.step(1)
    step = engine.make(1)
    store.lane.close()
    store.prepare(step)
    assert store._ahead is None
