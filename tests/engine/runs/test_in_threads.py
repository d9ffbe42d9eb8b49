"""`def` handlers that a thread runs one after the other, and what happens meanwhile elsewhere."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator

import pytest
import trio

import trioq
from tests.engine.handlers.attempts import until
from tests.engine.handlers.test_starved import no_new_threads
from tests.engine.runs.test_hands import Rows, look_ahead
from tests.engine.virtual import World, calm
from tests.support import PATIENCE_S, new_job
from trioq.core.calls import Ask
from trioq.core.events import (
    BreakerChanged,
    JobCancelled,
    JobDied,
    JobFailed,
    JobParked,
    JobReleased,
    JobStarted,
    JobSucceeded,
    RunStarved,
)
from trioq.core.formats import summary
from trioq.engine.handlers import Function, abandoned_threads
from trioq.engine.runs import hands

pytestmark = pytest.mark.trio


@pytest.fixture
async def world(nursery: trio.Nursery) -> World:
    """In the time of the wall, as threads are."""
    return World(nursery, config=calm(queues=("low",), count=2))


@pytest.fixture
async def release() -> AsyncIterator[threading.Event]:
    """Lets the threads of a test end."""
    event = threading.Event()
    yield event
    event.set()
    await until(lambda: not abandoned_threads())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread runs stays its own affair, however long it takes."""
    monkeypatch.setattr(hands, "MOMENT_S", 3600.0)


async def test_while_one_blocks_the_next_of_its_name_have_threads_of_their_own(
    world: World, release: threading.Event
) -> None:
    @world.app.job("blocks")
    def blocks() -> None:
        assert release.wait(30)

    world.enqueue("blocks", 2)
    handler = (await world.start()).engine.handlers["blocks"]
    assert isinstance(handler, Function)
    await world.reported(JobStarted, 2, within_s=PATIENCE_S)
    assert not handler.tempo.is_quick
    release.set()
    await world.reported(JobSucceeded, 2, within_s=PATIENCE_S)


async def test_a_summary_has_the_id_that_its_job_was_given(world: World) -> None:
    rows = Rows()
    world.listeners = (rows,)
    await look_ahead(world)
    before = rows.count
    ids = [f"x{n}" for n in range(5)]
    for id in ids:
        world.enqueue("tiny", id=id)
    await world.reported(JobSucceeded, 305, within_s=PATIENCE_S)
    await until(lambda: world.count("done") == 305)
    assert rows.count > before
    kept = [summary.decode(line) for line in world.dump().done]
    assert {done.id for done in kept if done} == {*ids, None}


async def test_without_a_thread_jobs_go_back_and_the_engine_goes_on(
    world: World, nursery: trio.Nursery, release: threading.Event
) -> None:
    await look_ahead(world)
    refused: list[BaseException] = []

    async def hold() -> None:
        try:
            await trio.to_thread.run_sync(
                release.wait, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
            )
        except RuntimeError as error:
            refused.append(error)

    with no_new_threads():
        while not refused:  # first those that idle in trio's cache are taken
            nursery.start_soon(hold)
            await trio.testing.wait_all_tasks_blocked()
        world.enqueue("tiny", 5)
        (starved, *_) = await world.reported(RunStarved, within_s=PATIENCE_S)
    assert starved.want.startswith("threads")
    await world.reported(JobSucceeded, 305, within_s=PATIENCE_S)
    assert world.of(JobReleased)
    assert world.of(JobFailed) == []


async def test_what_a_thread_runs_when_its_engine_is_cancelled_is_told_as_given_back(
    world: World, release: threading.Event, patient: None
) -> None:
    begun = threading.Event()

    @world.app.job("stuck")
    def stuck() -> None:
        begun.set()
        release.wait(30)

    first, second = world.enqueue("stuck", 2)
    running = await world.start()
    await until(begun.is_set)
    running.scope.cancel()
    await running.ended.wait()
    assert [event.uid for event in world.of(JobReleased)] == [first]
    assert sorted(world.waiting("low").ready) == sorted([first, second])
    assert not world.held()


async def test_what_a_thread_has_begun_is_run_though_its_breaker_opens_meanwhile(
    world: World, release: threading.Event, patient: None
) -> None:
    """It has run, so it isn't parked, to run once more."""
    fails, begun = threading.Event(), list[int]()

    @world.app.job("shaky", retry=trioq.Retry(max_attempts=1))
    def shaky(n: int) -> None:
        begun.append(n)
        assert (fails if n == 0 else release).wait(30)
        raise ConnectionError(n)

    breaker = {"failure_threshold": 0.5, "window_s": 60.0, "cooldown_s": 30.0, "min_samples": 1}
    world.config = calm(queues=("low",), count=3, breaker=breaker)
    world.enqueue("shaky", payload={"n": 0})
    await world.start()
    await until(lambda: begun == [0])  # alone, in a thread of its own
    both = [new_job(name="shaky", payload=b'{"n":%d}' % n) for n in (1, 2)]
    world.store.enqueue("another", 1, both)
    await until(lambda: begun == [0, 1])
    fails.set()
    await world.reported(BreakerChanged, within_s=PATIENCE_S)
    release.set()
    (parked,) = await world.reported(JobParked, within_s=PATIENCE_S)
    await world.reported(JobDied, 2, within_s=PATIENCE_S)
    assert begun == [0, 1]
    assert parked.uid == both[1].uid
    (change,) = world.of(BreakerChanged)  # the late one says nothing of the door that has shut
    assert change.after == "open"


async def test_who_loses_its_lease_while_a_thread_runs_it_ends_if_it_is_to(
    world: World, release: threading.Event
) -> None:
    def lose() -> None:
        by = running.engine.shards[0].dispatcher
        assert by is not None
        by.pacemaker.gone()
        running.engine._parts.runs.lease_ended(by)

    @world.app.job("careful", on_lease_loss="cancel")
    def careful() -> None:
        trio.from_thread.run_sync(lose)
        release.wait(30)

    running = await world.start()
    first, _ = world.enqueue("careful", 2)
    await world.reported(JobReleased, uid=first, within_s=PATIENCE_S)
    assert abandoned_threads() == {"careful": 1}


async def test_who_is_asked_to_end_while_a_thread_runs_it_after_others_ends(
    world: World, release: threading.Event
) -> None:
    def ask() -> None:
        by = running.engine.shards[0].dispatcher
        assert by is not None
        assert world.cancel(first, name="stops") == ["asked"]
        asked = by._boot.asks[first, 1] = Ask(first, 1, b"{}")
        by._hear([asked])  # as by the next step, which tells nothing new then
        assert list(running.engine._parts.runs) == [], "it isn't a run yet"

    @world.app.job("stops")
    def stops(job: trioq.Job) -> None:
        if job.uid != first:
            return
        trio.from_thread.run_sync(ask)
        while not release.wait(0.001):
            trio.from_thread.check_cancelled()

    first, _ = world.enqueue("stops", 2)
    running = await world.start()
    await world.reported(JobCancelled, uid=first, within_s=PATIENCE_S)
    await world.until(lambda: not world.jobs, within_s=PATIENCE_S)
    assert world.count("cancelled") == 1
    assert len(world.of(JobStarted, uid=first)) == 1
    assert world.of(JobReleased) == []
