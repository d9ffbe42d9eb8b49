"""The clients of a world: a test's own, and those of handlers."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
import trio

import trioq
import trioq.aio
from trioq import CancelOutcome, IdTaken, JobDied, Retry, WaitTimeout
from trioq.core.config import Config, QueueConfig
from trioq.core.events import JobSucceeded
from trioq.errors import StoreRefused, StoreUnreachable
from trioq.testing import NothingHappens, World


@pytest.fixture
def trioq_config() -> Config:
    small = QueueConfig("small", max_length=1, when_full="wait")
    return Config(queues=(QueueConfig("urgent"), small, QueueConfig("default")))


@pytest.fixture
def kept(tq: World) -> Any:
    """A handler whose results are kept."""

    @tq.app.job(result="1h")
    async def kept(n: int) -> int:
        return n

    return kept


async def both(*functions: Any) -> list[Any]:
    """What these return that run at a time."""
    returned: list[Any] = [None] * len(functions)

    async def run(place: int, function: Any) -> None:
        returned[place] = await function()

    async with trio.open_nursery() as nursery:
        for place, function in enumerate(functions):
            nursery.start_soon(run, place, function)
    return returned


# -- from a test -------------------------------------------------------------------------------


async def test_a_handle_tells_where_its_job_is_and_what_it_returned(tq: World, kept: Any) -> None:
    handle = await tq.client.enqueue(kept.call(5), delay=60)
    assert (await handle.status()).state == "scheduled"
    explained = await tq.client.explain(handle)
    assert [reason.why for reason in explained.reasons] == ["due", "no_engine"]
    result, drained = await both(handle.result, tq.drain)
    assert (result, drained.done) == (5, 1)
    assert (await handle.status()).state == "done"
    assert await (await tq.client.handle(handle.uid, of=kept)).result() == 5
    assert tq.now >= 60


async def test_who_waits_for_a_job_that_dies_is_told_of_what(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=3, base=60, cap=60, jitter=0.0))
    async def fails() -> None:
        raise ConnectionError("no")

    handle = await tq.client.enqueue(fails.call())
    async with trio.open_nursery() as nursery:
        await tq.start()
        with pytest.raises(JobDied, match="ConnectionError: no"):
            await handle.result()
        nursery.cancel_scope.cancel()
    assert tq.now >= 120


async def test_a_wait_ends_with_its_time_which_is_the_worlds(tq: World, kept: Any) -> None:
    handle = await tq.client.enqueue(kept.call(1))
    with pytest.raises(WaitTimeout):
        await handle.result(timeout=timedelta(hours=1))
    assert tq.now == 3600


async def test_who_waits_while_nobody_runs_the_job_is_told_so(tq: World, kept: Any) -> None:
    def never(world: World) -> Any:
        async def wait() -> Any:
            return await (await world.client.enqueue(kept.call(1))).result()

        return world.run(wait)

    with pytest.raises(NothingHappens):
        await trio.to_thread.run_sync(never, World(tq.app, tq.config))


async def test_jobs_are_cancelled_where_they_wait_and_where_they_run(tq: World) -> None:
    @tq.app.job
    async def long() -> None:
        await trio.sleep(3600)

    waits = await tq.client.enqueue(long.call(), delay=60)
    assert await waits.cancel("no more") is CancelOutcome.was_waiting
    runs = await tq.client.enqueue(long.call())
    await tq.start()
    assert await runs.cancel() is CancelOutcome.stopped
    assert (await runs.status()).state == "cancelled"
    assert (await waits.status()).reason == "no more"


async def test_many_are_enqueued_and_told_as_they_end(tq: World, kept: Any) -> None:
    handles = await tq.client.enqueue_many([kept.call(n) for n in range(600)])
    await tq.start()
    ended = [end.result() async for _, end in trioq.as_done(handles)]
    assert sorted(ended) == list(range(600))


async def test_a_call_waits_for_its_job(tq: World, kept: Any) -> None:
    await tq.start()
    assert await tq.client.call(kept.call(7), timeout=10) == 7


async def test_who_finds_a_queue_full_waits_for_room(tq: World, kept: Any) -> None:
    await tq.client.enqueue(kept.call(1), queue="small")

    async def second() -> Any:
        return await tq.client.enqueue(kept.call(2), queue="small")

    async def later() -> None:
        await trio.sleep(10)
        await tq.start()

    handle, _ = await both(second, later)
    assert await handle.result() == 2


async def test_ids_are_taken_replaced_and_run_again_as_they_are_asked_to(tq: World) -> None:
    @tq.app.job(result="1h")
    async def sync(n: int) -> int:
        await trio.sleep(60)
        return n

    first = await tq.client.enqueue(sync.call(1), id="a")
    assert (await tq.client.enqueue(sync.call(2), id="a")).happened == "existing"
    with pytest.raises(IdTaken):
        await tq.client.enqueue(sync.call(2), id="a", on_conflict="raise")
    replaced = await tq.client.enqueue(sync.call(3), id="a", on_conflict="replace")
    assert (replaced.happened, replaced.uid) == ("replaced", first.uid)
    await tq.start()
    await trio.sleep(30)
    again = await tq.client.enqueue(sync.call(4), id="a", on_conflict="again")
    assert again.happened == "again"
    assert (await first.result(), await again.result()) == (3, 4)
    assert tq.now >= 120


async def test_of_a_debounce_the_last_one_runs_once_its_time_is_over(tq: World) -> None:
    @tq.app.job(result="1h")
    async def index(n: int) -> int:
        return n

    for n in range(5):
        handle = await tq.client.enqueue(index.call(n), id="a", debounce="10s")
        await trio.sleep(5)
    result, drained = await both(handle.result, tq.drain)
    assert (result, drained.done) == (4, 1)
    assert 30 <= tq.now < 40


async def test_schedules_are_put_listed_and_run(tq: World, kept: Any) -> None:
    schedules = tq.client.schedules
    assert await schedules.put("hourly", kept.call(1), cron="30 * * * *", tz="UTC")
    assert not await schedules.put("hourly", kept.call(1), cron="30 * * * *", tz="UTC")
    (view,) = await schedules.list()
    assert (view.name, view.state, view.when) == (
        "hourly",
        "",
        "at minute 30 of every hour, UTC",
    )
    running = await tq.start()
    await trio.sleep(3600)
    assert len(tq.of(JobSucceeded)) == 1
    assert await schedules.pause("hourly", note="holiday")
    await trio.sleep(3600)
    assert len(tq.of(JobSucceeded)) == 1
    assert await (await schedules.run("hourly")).result() == 1
    assert await schedules.remove("hourly")
    assert await schedules.list() == []
    running.drain()


async def test_who_follows_a_job_sees_each_of_its_states(tq: World) -> None:
    @tq.app.job
    async def work(job: trioq.Job) -> None:
        await trio.sleep(10)

    handle = await tq.client.enqueue(work.call(), delay=60)
    await tq.start()
    states = [status.state async for status in handle.follow()]
    assert states == ["scheduled", "running", "done"]


# -- from ordinary code ------------------------------------------------------------------------


def test_ordinary_code_enqueues_and_asks_after_the_jobs_have_run(tq: World, kept: Any) -> None:
    handle = tq.sync_client.enqueue(kept.call(5), delay=3600)
    assert handle.status().state == "scheduled"
    tq.run(tq.drain)
    assert (handle.result(), handle.status().state) == (5, "done")
    assert tq.sync_client.schedules.put("hourly", kept.call(1), every=3600)
    assert [view.name for view in tq.sync_client.schedules.list()] == ["hourly"]
    late = tq.sync_client.enqueue(kept.call(1))
    assert late.cancel() is CancelOutcome.was_waiting


def test_ordinary_code_that_would_wait_for_good_is_told_what_to_do(tq: World, kept: Any) -> None:
    handle = tq.sync_client.enqueue(kept.call(5))
    with pytest.raises(NothingHappens, match=r"tq\.run\(tq\.drain\), .* after await tq\.start\(\)"):
        handle.result()
    with pytest.raises(NothingHappens, match=r"tq\.run\(tq\.drain\)"):
        list(handle.follow())
    with pytest.raises(WaitTimeout):
        handle.result(timeout=0)


async def test_ordinary_code_doesnt_wait_in_the_loop_of_its_job(tq: World, kept: Any) -> None:
    handle = tq.sync_client.enqueue(kept.call(5))
    await tq.start()
    with pytest.raises(RuntimeError, match=r"await tq\.client"):
        handle.result()
    assert await trio.to_thread.run_sync(handle.result) == 5


def test_all_that_a_program_connects_leads_into_the_world(tq: World, kept: Any) -> None:
    nowhere: Any = {"url": "redis://localhost:1", "namespace": "other"}
    with trioq.connect_sync(**nowhere) as client:
        client.enqueue(kept.call(1), queue="urgent")

    async def in_trio() -> None:
        async with trioq.connect(**nowhere) as client:
            await client.enqueue(kept.call(2), queue="urgent")
        assert (await tq.drain()).done == 2

    tq.run(in_trio)
    with pytest.raises(trioq.StoreClosed):
        client.enqueue(kept.call(1))


def test_a_client_that_was_there_before_leads_into_the_world_while_that_lives() -> None:
    client = trioq.connect_sync(url="redis://localhost:1", namespace="n", patience=0.1)
    for _ in range(2):
        world = World(config=Config(queues=(QueueConfig("default"),)))
        with world.clients.lead():
            handle = client.enqueue("work")
            assert handle.status().state == "ready"
        assert world.sync_client.handle(handle.uid).uid == handle.uid
        with pytest.raises(StoreUnreachable):
            client.enqueue("work")


def test_an_admin_looks_and_pauses_and_is_told_what_a_world_has_not(tq: World, kept: Any) -> None:
    handle = tq.sync_client.enqueue(kept.call(5))
    with trioq.connect_admin(url="redis://localhost:1", namespace="n") as admin:
        assert admin.job(handle.uid).state == "ready"  # type: ignore[union-attr]
        assert admin.pause("default", note="move")
        assert [each.why for each in admin.explain(handle.uid).reasons] == ["paused", "no_engine"]
        assert admin.resume("default")
        with pytest.raises(StoreRefused, match=r"tq\.enqueued"):
            admin.stats()


# -- from asyncio ------------------------------------------------------------------------------


def test_a_program_in_asyncio_enqueues_and_asks_after_the_jobs_have_run(
    tq: World, kept: Any
) -> None:
    async def program() -> int:
        async with trioq.aio.connect(url="redis://localhost:1", namespace="n") as client:
            handle = await client.enqueue(kept.call(5), queue="urgent")
            assert (await handle.status()).state == "ready"
            with pytest.raises(NothingHappens, match=r"tq\.run\(tq\.drain\)"):
                await handle.result()
            await tq.drain()
            return await handle.result()

    assert asyncio.run(program()) == 5


def test_a_program_in_asyncio_may_wait_while_the_jobs_run(tq: World, kept: Any) -> None:
    async def program() -> int:
        client = tq.aio_client
        handle = await client.enqueue(kept.call(5), delay=3600)
        drained, result = await asyncio.gather(tq.drain(), handle.result())
        await client.close()
        assert drained.done == 1
        return result

    assert asyncio.run(program()) == 5


# -- from handlers -----------------------------------------------------------------------------


async def test_a_handler_in_trio_enqueues_and_waits(tq: World, kept: Any) -> None:
    @tq.app.job(result="1h", timeout=7200)
    async def parent(job: trioq.Job) -> int:
        handle = await job.client.enqueue(kept.call(5), delay=3600)
        return 1 + await handle.result()

    handle = await tq.client.enqueue(parent.call())
    result, drained = await both(handle.result, tq.drain)
    assert (result, drained.done) == (6, 2)
    assert 3600 <= tq.now < 3700


async def test_a_handler_in_a_thread_enqueues_and_waits_while_time_passes(
    tq: World, kept: Any
) -> None:
    @tq.app.job(result="1h", timeout=7200)
    def parent(job: trioq.Job) -> int:
        return 1 + job.sync_client.enqueue(kept.call(5), delay=3600).result()

    handle = await tq.client.enqueue(parent.call())
    with trio.fail_after(4000):
        result, _ = await both(handle.result, tq.drain)
    assert result == 6
    assert tq.now >= 3600


@pytest.mark.usefixtures("kept")
async def test_a_handler_in_asyncio_enqueues_and_waits(tq: World) -> None:
    @tq.app.job(result="1h", timeout=7200, runtime="asyncio")
    async def parent(job: trioq.Job) -> int:
        handle = await job.client.enqueue("kept", {"n": 5}, delay=3600)
        await asyncio.sleep(60)
        returned: int = await handle.result()
        return 1 + returned

    handle = await tq.client.enqueue(parent.call())
    result, drained = await both(handle.result, tq.drain)
    assert (result, drained.done) == (6, 2)
    assert 3600 <= tq.now < 3700


async def test_what_a_killed_engines_handler_enqueues_reaches_nobody(tq: World, kept: Any) -> None:
    @tq.app.job
    async def parent(job: trioq.Job) -> None:
        try:
            await trio.sleep(10)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await job.client.enqueue(kept.call(5))

    await tq.client.enqueue(parent.call())
    engine = await tq.start()
    await trio.sleep(5)
    engine.kill()
    await engine.ended.wait()
    assert tq.space.alive == 1


def test_where_the_worlds_time_does_not_pass_an_outage_is_told_at_once(tq: World) -> None:
    @tq.app.job
    async def charge() -> None: ...

    began = time.monotonic()
    with tq.outage(), pytest.raises(StoreUnreachable):
        asyncio.run(tq.client.enqueue(charge.call()))
    assert time.monotonic() - began < 5
    asyncio.run(tq.client.enqueue(charge.call()))
    tq.assert_enqueued(charge, count=1)
