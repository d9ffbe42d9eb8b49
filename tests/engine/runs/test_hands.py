"""`def` handlers that a thread runs one after the other, when something happens in the middle."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import attrs
import pytest
import trio

import trioq
from tests.engine.handlers.attempts import until
from tests.engine.virtual import Running, World, calm
from tests.support import PATIENCE_S, new_job
from trioq import failpoints
from trioq.core.breaker import Breaker, Settings
from trioq.core.calls import NewJob
from trioq.core.events import (
    BootLost,
    Event,
    JobDied,
    JobFailed,
    JobReleased,
    JobSnoozed,
    JobsSucceeded,
    JobStarted,
    JobSucceeded,
)
from trioq.core.formats.record import encode
from trioq.core.job import Options, Record
from trioq.core.settlements import Settlement
from trioq.engine.claim import Held
from trioq.engine.fetch import Fetch
from trioq.engine.handlers import Function, abandoned_threads
from trioq.engine.handlers.grace import NoPatience
from trioq.engine.handlers.threads import ThreadPlace
from trioq.engine.runs.hand import Hand
from trioq.engine.runs.pile import Pile
from trioq.engine.runs.plan import Header, Plan, Planned

pytestmark = pytest.mark.trio


# -- one thread, as it is seen from itself -------------------------------------------------


@attrs.define
class Boot:
    """Has a lease, or hasn't."""

    boot: str = "host.b00t"
    good: bool = True

    @property
    def fetch(self) -> Fetch:
        raise AssertionError

    def may_start(self) -> bool:
        return self.good

    def settle(self, settlement: Settlement, *, took_s: float | None = None) -> None:
        raise AssertionError

    settle_many: Any = settle


BREAKER = Settings(0.5, window_s=60.0, cooldown_s=30.0, min_samples=1000)


@attrs.define
class Scene:
    """A hand whose thread is the test's own."""

    by: Boot = attrs.field(factory=Boot)
    breaker: Breaker = attrs.field(factory=lambda: Breaker(BREAKER))
    limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    now: float = 0.0

    def planned(
        self, uid: str, function: Callable[..., Any] = lambda: None, payload: bytes = b"{}"
    ) -> Planned:
        plan = Plan(
            "it", "low", Function("it", function), True, False, self.breaker, 5.0, Options(), 1,
            None, "",
        )  # fmt: skip
        return Planned(Held(self.by, uid, 1, 1, False, payload), Header(b"", plan, 0))

    def hand(self, *jobs: Planned) -> Hand:
        token = trio.lowlevel.current_trio_token()
        place = ThreadPlace(self.limiter)
        pile = Pile(self.by, deque(jobs))
        return Hand(pile, place, copy_context(), lambda: self.now, token, self.now)


def done(hand: Hand) -> list[str]:
    return [held.uid for held, *_ in hand.pile.take_done()]


def left(hand: Hand) -> list[str]:
    return [held.uid for held in hand.pile.take_back()]


async def test_all_are_run_in_order_and_told_of_once() -> None:
    scene, ran = Scene(), list[str]()
    hand = scene.hand(*(scene.planned(uid, lambda uid=uid: ran.append(uid)) for uid in "abc"))
    hand.work()
    assert ran == ["a", "b", "c"]
    assert done(hand) == ["a", "b", "c"]
    assert done(hand) == []
    assert (hand.job, len(hand.pile)) == (None, 0)


async def test_what_is_taken_back_in_the_middle_is_not_run() -> None:
    scene, back = Scene(), list[str]()
    hand = scene.hand(
        scene.planned("a", lambda: back.extend(left(hand))), scene.planned("b"), scene.planned("c")
    )
    hand.work()
    assert (done(hand), back) == (["a"], ["b", "c"])


async def test_what_is_taken_back_while_the_thread_reads_it_is_not_run() -> None:
    class TakenBack(bytes):
        def decode(self, *args: str) -> str:  # type: ignore[override]
            back.extend(left(hand))
            return super().decode(*args)

    scene, back = Scene(), list[str]()
    hand = scene.hand(scene.planned("a"), scene.planned("b", payload=TakenBack(b"{}")))
    hand.work()
    assert (done(hand), back) == (["a"], ["b"])


async def test_of_what_is_taken_out_in_the_middle_the_others_are_run_in_their_order() -> None:
    scene, out = Scene(), list[Held]()
    wanted = {("a", 1), ("b", 1), ("c", 2), ("d", 1)}
    hand = scene.hand(
        scene.planned("a", lambda: out.extend(hand.pile.take_out(wanted))),
        *map(scene.planned, "bcde"),
    )
    hand.work()
    assert [held.uid for held in out] == ["b", "d"], "what has begun goes on"
    assert done(hand) == ["a", "c", "e"]


async def test_what_is_put_in_meanwhile_is_run_and_afterwards_there_is_no_more_room() -> None:
    scene = Scene()
    hand = scene.hand(scene.planned("a", lambda: hand.pile.add([scene.planned("b")]) and None))
    hand.work()
    assert done(hand) == ["a", "b"]
    assert not hand.pile.add([scene.planned("c")])
    assert len(hand.pile) == 0


async def test_of_what_is_closed_in_the_middle_the_job_is_told_of_by_who_waits_for_it() -> None:
    scene = Scene()
    hand = scene.hand(
        scene.planned("a"),
        scene.planned("b", lambda: hand.close()),  # noqa: PLW0108  # there is none yet
        scene.planned("c"),
    )
    hand.work()
    assert done(hand) == ["a"]
    assert hand.job is not None
    assert hand.job.held.uid == "b"
    assert left(hand) == ["c"]
    hand.over.set()
    assert await hand.rest.run(NoPatience()) is None


@pytest.mark.parametrize("what", ["lease", "breaker", "payload"])
async def test_what_needs_more_care_is_not_begun(what: str) -> None:
    scene = Scene()

    def first() -> None:
        if what == "lease":
            scene.by.good = False
        elif what == "breaker":
            permit = scene.breaker.admit(0.0)
            assert permit is not None
            scene.breaker.record(permit, "failure", 0.0)

    second = scene.planned("b", payload=b"{" if what == "payload" else b"{}")
    hand = scene.hand(scene.planned("a", first), second, scene.planned("c"))
    hand.work()
    assert done(hand) == ["a"]
    assert hand.job is None
    assert left(hand) == ["b", "c"]


async def test_time_counts_from_the_beginning_of_each() -> None:
    scene = Scene()

    def takes(seconds: float) -> Callable[[], None]:
        def function() -> None:
            scene.now += seconds

        return function

    hand = scene.hand(
        *(scene.planned(uid, takes(3.0)) for uid in "abc"), scene.planned("d", takes(6.0))
    )
    hand.work()
    assert done(hand) == ["a", "b", "c"], "nine seconds together"
    assert hand.job is not None
    assert (hand.job.held.uid, hand.began) == ("d", 9.0)


async def test_the_loop_is_told_of_what_is_done_while_there_is_more() -> None:
    scene, told = Scene(), list[str]()

    def first() -> None:
        scene.now += 1.0

    def second() -> None:
        # The loop has its turn when this thread waits for it.
        trio.from_thread.run(hand.news, 60.0)
        told.extend(done(hand))

    hand = scene.hand(scene.planned("a", first), scene.planned("b", second))
    await hand.live()
    assert told == ["a"]
    assert done(hand) == ["b"]
    assert scene.limiter.borrowed_tokens == 0


# -- in an engine ---------------------------------------------------------------------------


@pytest.fixture
async def world(nursery: trio.Nursery) -> World:
    """In the time of the wall, as threads are."""
    return World(nursery, config=calm(queues=("low",), count=2))


@pytest.fixture
async def release() -> Any:
    """Lets the threads of a test end."""
    event = threading.Event()
    yield event
    event.set()
    await until(lambda: not abandoned_threads())


@attrs.define
class Rows:
    """A listener that counts what was run in a row."""

    count: int = 0
    told_in_short: int = 0
    """Those of which nothing is told but how long they waited and ran."""

    def listener_for(self, kind: type[Event]) -> Callable[[Any], None] | None:
        return self._add if kind is JobsSucceeded else None

    def __call__(self, event: Event) -> None:
        raise AssertionError("it says what it wants")

    def _add(self, event: JobsSucceeded) -> None:
        self.count += len(event.runs)
        self.told_in_short += len(event.runs) if event.are_plain else 0


async def test_a_job_that_blocks_does_not_hold_back_those_behind_it(
    world: World, release: threading.Event
) -> None:
    @world.app.job("first")
    def first() -> None:
        assert release.wait(30)

    @world.app.job("second")
    def second() -> None:
        pass

    world.enqueue("first")
    world.enqueue("second", 5)
    await world.start()
    await world.reported(JobSucceeded, 5, name="second", within_s=PATIENCE_S)
    assert world.of(JobSucceeded, name="first") == []
    release.set()
    await world.reported(JobSucceeded, name="first", within_s=PATIENCE_S)


async def test_what_runs_in_a_thread_takes_nothing_of_the_loops_turn(world: World) -> None:
    spent = list[float]()

    def listener(event: Event) -> None:
        if isinstance(event, JobSucceeded):
            spent.append(running.engine._parts.workers[0]._shop.turn.spent_s)

    @world.app.job("waits")
    def waits() -> None:
        threading.Event().wait(1.0)

    world.listeners = (listener,)
    running = await world.start()
    world.enqueue("waits")
    await world.reported(JobSucceeded, within_s=PATIENCE_S)
    assert spent[0] < 1.0


async def test_as_many_block_at_a_time_as_there_are_workers(world: World) -> None:
    together = threading.Barrier(8)

    @world.app.job("blocks")
    def blocks() -> None:
        together.wait(30)

    world.config = calm(queues=("low",), count=8)
    world.enqueue("blocks", 24)
    await world.start()
    await world.reported(JobSucceeded, 24, within_s=40)
    assert world.of(JobFailed) == []


async def test_many_tiny_ones_are_run_by_few_threads_and_told_of_each(world: World) -> None:
    threads, rows = set[int](), Rows()
    world.listeners = (rows,)

    @world.app.job("tiny")
    def tiny() -> None:
        threads.add(threading.get_ident())

    world.config = calm(queues=("low",), count=64)
    uids = world.enqueue("tiny", 300)
    await world.start()
    await world.reported(JobSucceeded, 300, within_s=40)
    assert rows.count > 0
    assert sorted(event.uid for event in world.of(JobStarted)) == sorted(uids)
    assert sorted(event.uid for event in world.of(JobSucceeded)) == sorted(uids)
    assert len(threads) < 64


async def test_what_takes_too_long_is_left_behind_with_its_place_and_begins_nothing_more(
    world: World, release: threading.Event
) -> None:
    ended = list[str]()

    @world.app.job("stuck", timeout=0.05, retry=trioq.Retry(max_attempts=1))
    def stuck() -> None:
        release.wait(30)
        try:
            trio.from_thread.check_cancelled()
        except trio.Cancelled:
            ended.append("told")
            raise

    @world.app.job("next")
    def next_() -> None:
        ended.append("next")

    world.enqueue("stuck")
    world.enqueue("next", 3)
    running = await world.start()
    threads = running.engine._parts.threads
    (died,) = await world.reported(JobDied, within_s=PATIENCE_S)
    await world.reported(JobSucceeded, 3, within_s=PATIENCE_S)
    assert died.error.message == "took longer than 0.05 s; its thread still runs"
    assert abandoned_threads() == {"stuck": 1}
    assert threads.borrowed_tokens == 1
    release.set()
    await until(lambda: threads.borrowed_tokens == 0)
    assert ended == ["next"] * 3 + ["told"]
    assert not abandoned_threads()


async def test_without_a_place_for_a_thread_jobs_come_back_later(
    world: World, release: threading.Event
) -> None:
    @world.app.job("stuck", timeout=0.05, retry=trioq.Retry(max_attempts=1))
    def stuck() -> None:
        release.wait(30)

    @world.app.job("next", timeout=0.05)
    def next_() -> None:
        pass

    world.config = calm(queues=("low",), count=1)
    world.enqueue("stuck")
    await world.start()
    await world.reported(JobDied, within_s=PATIENCE_S)
    world.enqueue("next", 3)
    await world.reported(JobSnoozed, 3, within_s=PATIENCE_S)
    release.set()
    await world.reported(JobSucceeded, 3, within_s=PATIENCE_S)


async def look_ahead(world: World) -> Running:
    """An engine of one worker that holds many jobs at a time."""

    @world.app.job("tiny")
    def tiny() -> None:
        pass

    world.config = calm(queues=("low",), count=1)
    world.enqueue("tiny", 300)
    running = await world.start()
    await world.reported(JobSucceeded, 300, within_s=40)
    return running


async def test_of_what_was_to_go_to_one_thread_nothing_is_lost_without_a_place_for_it(
    world: World,
) -> None:
    @world.app.job("next", timeout=0.05)
    def next_() -> None:
        pass

    threads = (await look_ahead(world)).engine._parts.threads
    await until(lambda: threads.borrowed_tokens == 0)
    others = [object() for _ in range(int(threads.available_tokens))]
    for other in others:
        threads.acquire_on_behalf_of_nowait(other)
    world.enqueue("next", 5)
    await world.reported(JobSnoozed, within_s=PATIENCE_S)
    for other in others:
        threads.release_on_behalf_of(other)
    await world.reported(JobSucceeded, 5, name="next", within_s=PATIENCE_S)


async def test_a_job_that_a_thread_cannot_read_does_not_hold_back_those_behind_it(
    world: World,
) -> None:
    await look_ahead(world)
    bad = new_job(name="tiny", payload=b"{")
    world.store.enqueue("another", 1, [bad, *(new_job(name="tiny") for _ in range(4))])
    (died,) = await world.reported(JobDied, within_s=PATIENCE_S)
    assert died.uid == bad.uid
    await world.reported(JobSucceeded, 304, within_s=PATIENCE_S)


async def test_what_was_to_wait_is_told_of_in_full(world: World) -> None:
    rows = Rows()
    world.listeners = (rows,)
    await look_ahead(world)
    plain = rows.told_in_short
    assert plain > 0
    at = 1_700_000_000_000
    jobs = [
        Record(f"{n:032x}", "tiny", "low", b"{}", enqueued_ms=at, due_ms=at + 1000)
        for n in range(100)
    ]
    world.store.enqueue(
        "another", 1, [NewJob(record.uid, "low", *encode(record)) for record in jobs]
    )
    await world.reported(JobSucceeded, 400, within_s=40)
    assert rows.count > plain
    assert rows.told_in_short == plain


async def test_what_a_thread_has_not_begun_goes_back_at_once_when_its_engine_drains(
    world: World, release: threading.Event
) -> None:
    begun = threading.Event()

    @world.app.job("first")
    def first() -> None:
        begun.set()
        release.wait(30)

    @world.app.job("second")
    def second() -> None:
        raise AssertionError("it was given back")

    world.config = calm(queues=("low",), count=1, grace_s=30.0)
    world.enqueue("first")
    uids = world.enqueue("second", 4)
    running = await world.start()
    await until(begun.is_set)
    running.engine.drain()
    await until(lambda: sorted(world.waiting("low").ready) == sorted(uids))
    release.set()
    await running.ended.wait()
    assert [event.name for event in world.of(JobSucceeded)] == ["first"]
    assert not world.held()


async def test_what_runs_when_its_engine_is_cancelled_goes_back_once(
    world: World, release: threading.Event
) -> None:
    begun = threading.Event()

    @world.app.job("stuck")
    def stuck() -> None:
        begun.set()
        release.wait(30)

    uids = world.enqueue("stuck", 3)
    running = await world.start()
    await until(begun.is_set)
    running.scope.cancel()
    await running.ended.wait()
    assert sorted(world.waiting("low").ready) == sorted(uids)
    assert not world.dump().reaps
    told = [event.uid for event in world.of(JobReleased)]
    assert len(told) == len(set(told))
    assert not world.held()


async def test_a_lost_boot_has_its_jobs_cancelled_in_threads_too(
    world: World, release: threading.Event
) -> None:
    @world.app.job("stuck")
    def stuck() -> None:
        release.wait(30)

    world.config = calm(queues=("low",), count=1)
    world.enqueue("stuck", 2)
    await world.start()
    await world.reported(JobStarted, within_s=PATIENCE_S)
    world.forget_engines()  # the server has forgotten it
    world.enqueue("other")
    await world.reported(BootLost, within_s=PATIENCE_S)
    await world.reported(JobReleased, name="stuck", within_s=PATIENCE_S)


@pytest.fixture
def armed() -> Iterator[list[str]]:
    passed: list[str] = []
    failpoints.arm("job.before", lambda: passed.append("before"), nth=0)
    yield passed
    failpoints.disarm()


async def test_each_run_passes_its_failpoints(world: World, armed: list[str]) -> None:
    rows = Rows()
    world.listeners = (rows,)

    @world.app.job("tiny")
    def tiny() -> None:
        pass

    world.enqueue("tiny", 30)
    await world.start()
    await world.reported(JobSucceeded, 30, within_s=PATIENCE_S)
    assert (len(armed), rows.count) == (30, 0)
