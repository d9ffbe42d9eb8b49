"""The store that all of a world share: in memory, and on a real server by the world's clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import attrs
import pytest
import trio

from tests.support import new_job
from trioq import App, Retry
from trioq.core.calls import Step, StepReply
from trioq.core.config import Config, QueueConfig
from trioq.core.events import JobFailed, JobStarted
from trioq.store.protocol import Store
from trioq.store.questions import Questions
from trioq.store.redis import RedisStore
from trioq.testing import World
from trioq.testing.server import QUIET, Space, real_server

CONFIG = Config(queues=(QueueConfig("low"),))
START_S = 1_700_000_000.0


@attrs.define
class Place:
    """A space, and the clock by which it goes."""

    space: Space
    now_s: float = START_S

    @property
    def store(self) -> Store:
        return self.space.store

    def enqueue(self, *, number: int = 1, delay_ms: int = 0) -> str:
        job = new_job("low", "noop", delay_ms=delay_ms)
        self.store.enqueue("sender", number, [job])
        return job.uid

    def claims(self, number: int) -> int:
        """How many jobs the next step of an engine brings."""
        reply = self.store.step(Step("boot", number, 10, ("low",)))
        assert isinstance(reply, StepReply)
        return len(reply.claims)


@pytest.fixture(params=["memory", "redis"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    make = Space.on_redis if request.param == "redis" else Space.in_memory
    place = Place(None)  # type: ignore[arg-type]
    place.space = make(CONFIG, lambda: place.now_s)
    yield place
    place.space.close()


def test_what_is_due_is_due_by_the_worlds_clock(place: Place) -> None:
    place.store.register("boot", b"{}")
    place.enqueue(delay_ms=24 * 3600_000)
    assert place.claims(1) == 0
    place.now_s += 24 * 3600 - 1
    assert place.claims(2) == 0
    place.now_s += 1
    assert place.claims(3) == 1


def test_what_is_asked_is_answered_by_the_worlds_clock(place: Place) -> None:
    place.now_s += 0.25
    assert place.store.now_ms() == 1_700_000_000_250
    assert place.store.next_ticks(1).now_ms == 1_700_000_000_250
    uid = place.enqueue(delay_ms=90_000)
    place.now_s += 30
    assert "in 60.0 s" in place.store.explain(uid).reasons[0].says


def test_a_bell_is_looked_at_and_not_waited_for(place: Place) -> None:
    began = time.monotonic()
    assert not place.store.wait(["low"], 100.0, "boot")
    assert time.monotonic() < began + 50
    place.enqueue()
    assert place.store.wait(["low"], 100.0, "boot")
    assert not place.store.wait(["low"], 0, "boot"), "who looks takes it"


def test_after_each_call_that_may_have_changed_something_listeners_are_told(place: Place) -> None:
    told, rung = list[str](), list[str]()
    place.space.on_change(lambda: told.append("changed"))
    end = place.space.on_ring(rung.append)
    uid = place.enqueue()
    assert told == ["changed"]
    assert rung
    place.store.wait(["low"], 0)
    place.store.wait_for("client", [(uid, None)])
    place.store.find(uid)
    assert told == ["changed"], "who looks changes nothing, and doesn't wake the others who look"
    end()
    rung.clear()
    place.enqueue(number=2)
    assert len(told) == 2
    assert not rung


def test_questions_wake_nobody() -> None:
    questions = {name for name in vars(Questions) if not name.startswith("_")}
    assert questions < QUIET < {*dir(RedisStore)}


def test_many_threads_call_it_at_once(place: Place) -> None:
    def enqueue(n: int) -> None:
        for number in range(1, 21):
            place.store.enqueue(f"sender{n}", number, [new_job("low", "noop")])
            place.store.wait(["low"], 0)

    threads = [threading.Thread(target=enqueue, args=[n]) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.space.count("enqueued") == place.space.alive == 120


def test_who_has_begun_to_enqueue_is_in_nobodys_way(place: Place) -> None:
    finish = place.store.start_enqueue("sender", 1, [new_job("low", "noop")])
    assert place.store.now_ms() == 1_700_000_000_000
    assert finish().taken == 1
    assert place.space.alive == 1


def test_who_listens_in_a_loop_is_told_there_whichever_thread_calls(place: Place) -> None:
    told_in = list[int]()

    async def listen() -> None:
        told = trio.Event()

        def listener() -> None:
            told_in.append(threading.get_ident())
            told.set()

        place.space.on_change(listener)
        await trio.to_thread.run_sync(place.enqueue)
        await told.wait()

    trio.run(listen)
    assert told_in == [threading.get_ident()]
    place.enqueue(number=2)
    assert len(told_in) == 1, "its loop is over"


def test_spaces_know_nothing_of_each_other_and_leave_nothing() -> None:
    server = real_server()
    lane = server.lane("test")
    before = lane.call("DBSIZE")
    one, other = (Space.on_redis(CONFIG, lambda: START_S, server) for _ in range(2))
    one.store.enqueue("sender", 1, [new_job("low", "noop") for _ in range(2000)])
    one.store.register("boot", b"{}")
    assert (one.alive, other.alive) == (2000, 0)
    assert lane.call("DBSIZE") > before
    one.close()
    other.close()
    assert lane.call("DBSIZE") == before
    lane.close()


@pytest.mark.parametrize("redis", [False, True], ids=["memory", "redis"])
def test_an_hour_of_retries_is_the_same_on_both(redis: bool) -> None:
    app = App()
    world = World(app, CONFIG, redis=redis)

    @app.job(retry=Retry(max_attempts=5, base=600, cap=1200, jitter=0.0))
    async def charge() -> None:
        if len(world.of(JobFailed)) < 4:
            raise ConnectionError

    world.space.store.enqueue("sender", 1, [new_job("low", "charge")])
    assert world.run(world.drain).done == 1
    assert [at for at, _ in world.timed(JobStarted)] == [0, 600, 1800, 3000, 4200]
    assert isinstance(world.space.its, RedisStore) is redis
    world.close()
