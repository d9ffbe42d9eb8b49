"""A world: engines of an app over one store, in virtual time."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator

import attrs
import pytest
import trio

from tests.testing.jobs import put
from trioq import App, Failure, Job, Retry
from trioq.core.config import CommandConfig, Config
from trioq.core.events import BootLost, EngineReaped, JobFailed, JobStarted, JobSucceeded
from trioq.testing import NothingHappens, Running, World


async def test_retries_take_their_time_which_passes_at_once(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=5, base=100, cap=400, jitter=0.0))
    async def charge(order: int) -> None:
        if len(tq.of(JobFailed)) < 4:
            raise ConnectionError

    put(tq, "charge", order=7)
    drained = await tq.drain()
    assert drained.done == 1
    assert [at for at, _ in tq.timed(JobStarted)] == [0, 100, 300, 700, 1100]


async def test_time_stands_still_while_a_thread_works(tq: World) -> None:
    @tq.app.job(timeout=20)
    def reckon() -> None:
        time.sleep(0.05)

    put(tq, "reckon")
    assert (await tq.drain()).done == 1
    assert 0 < tq.now < 5


async def test_time_stands_still_while_a_failure_is_told_in_a_thread(tq: World) -> None:
    told: list[str] = []

    @tq.app.on_failure
    def tell(failure: Failure) -> None:
        time.sleep(0.05)
        told.append(failure.job.name)

    @tq.app.job(retry=Retry(max_attempts=1))
    async def charge() -> None:
        raise ValueError

    put(tq, "charge")
    with tq.deaths(charge):
        await tq.drain()
    assert told == ["charge"]
    assert tq.now < 4


def test_time_stands_still_while_a_program_runs(trioq_config: Config) -> None:
    slow = CommandConfig(name="slow", argv=("sleep", "0.05"), timeout_s=20.0)
    tq = World(App(), attrs.evolve(trioq_config, commands={"slow": slow}))
    put(tq, "slow")
    assert tq.run(tq.drain).done == 1
    assert tq.now < 5


async def test_a_thread_that_hangs_meets_its_timeout(tq: World) -> None:
    let_go = threading.Event()

    @tq.app.job(timeout=0.1, retry=Retry(max_attempts=1))
    def hang() -> None:
        let_go.wait()

    put(tq, "hang")
    try:
        assert (await tq.drain(raises=False)).dead == 1
    finally:
        let_go.set()


async def test_a_thread_that_a_test_has_started_is_waited_for(tq: World) -> None:
    with trio.fail_after(5):
        await trio.to_thread.run_sync(time.sleep, 0.05)
    assert tq.now < 5


async def test_who_waits_for_nothing_is_told_where(tq: World) -> None:
    with pytest.raises(NothingHappens, match=r"await trio.Event\(\)\.wait\(\)"):
        await trio.to_thread.run_sync(World(App()).run, _for_good)


async def _for_good() -> None:
    await trio.Event().wait()


async def test_a_killed_engines_jobs_run_on_another(tq: World) -> None:
    @tq.app.job
    async def charge(job: Job) -> None:
        if job.attempt == 1 and tq.running[0].runs:
            await trio.sleep_forever()

    first = await tq.start()
    put(tq, "charge")
    await tq.reported(JobStarted)
    await tq.start()
    first.kill()
    await tq.reported(JobSucceeded)
    assert len(tq.of(EngineReaped)) == 1
    assert tq.now < 500


async def test_a_frozen_engines_job_runs_beside_it(tq: World) -> None:
    ran = list[str]()
    gate = trio.Event()

    @tq.app.job
    async def charge(job: Job) -> None:
        ran.append("first" if not ran else "second")
        if len(ran) == 1:
            await gate.wait()
            ran.append("first goes on")

    first = await tq.start()
    put(tq, "charge")
    await tq.reported(JobStarted)
    first.freeze()
    await tq.start()
    await tq.reported(JobSucceeded)
    first.thaw()
    gate.set()
    await trio.sleep(30)
    assert ran[:2] == ["first", "second"]
    assert tq.of(BootLost)
    assert tq.space.count("done") == 1, "the late one counts for nothing"
    assert first.runs


async def test_an_engine_that_drains_has_ended_when_its_jobs_have(tq: World) -> None:
    @tq.app.job
    async def charge() -> None:
        await trio.sleep(3)

    engine: Running = await tq.start()
    put(tq, "charge")
    await tq.reported(JobStarted)
    engine.drain()
    await engine.ended.wait()
    assert tq.now == 3
    assert tq.of(JobSucceeded)


async def test_the_app_has_all_that_it_has_in_an_engine(tq: World) -> None:
    seen = list[str]()

    async def lifespan(app: App[str]) -> AsyncIterator[str]:
        seen.append("entered")
        yield "deps"
        seen.append("left")

    app = App(lifespan=lifespan)

    @app.middleware
    async def around(job: Job) -> AsyncIterator[None]:
        seen.append("before")
        yield
        seen.append("after")

    @app.job(runtime="asyncio")
    async def there(job: Job[str]) -> None:
        seen.append(f"asyncio {job.deps}")

    @app.job(isolation="process")
    def apart() -> None:
        seen.append("thread")

    tq.app.include(app)
    put(tq, "there")
    await tq.drain()
    put(tq, "apart")
    await tq.drain()
    one_run = ["entered", "before", "{}", "after", "left"]
    assert seen == [
        *(each.format("asyncio deps") for each in one_run),
        *(each.format("thread") for each in one_run),
    ]


async def test_handlers_are_replaced_through_the_wrap(tq: World) -> None:
    def wrap(name: str, function: object) -> object:
        async def fails() -> None:
            raise ValueError(name)

        return fails

    @tq.app.job(retry=Retry(max_attempts=1))
    async def charge() -> None: ...

    tq.wrap = wrap  # type: ignore[assignment]
    put(tq, "charge")
    with tq.deaths(charge) as died:
        await tq.drain()
    assert died[0].error.message == "charge"


def test_time_and_data_stay_from_one_run_to_the_next(tq: World) -> None:
    @tq.app.job
    async def charge() -> None:
        await trio.sleep(60)

    put(tq, "charge")
    assert tq.run(tq.drain).done == 1
    assert tq.now == 60
    put(tq, "charge")
    assert tq.run(tq.drain).done == 1
    assert tq.now == 120
