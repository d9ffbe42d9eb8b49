"""An engine as a guest in a loop of asyncio."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.lowlevel

import trioq
import trioq.aio
from tests.client.test_client import CONFIG, configured
from tests.support import PATIENCE_S, Server
from trioq.core.events import EngineStopped, Event, JobDied, JobFailed, JobReleased, JobSucceeded

ENDS = JobReleased, JobFailed, JobDied, JobSucceeded

app = trioq.App()
begun: list[str] = []


@app.job(queue="high", result="1h")
async def double(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return 2 * number


@app.job(queue="high", result="1h", runtime="asyncio")
async def triple(number: int) -> int:
    await asyncio.sleep(0)
    return 3 * number


@app.job(queue="high", result="1h")
def quadruple(number: int) -> int:
    return 4 * number


pools: list[asyncio.Queue[str]] = []


@app.job(queue="high", result="1h", runtime="asyncio")
async def borrow() -> tuple[str, bool]:
    async with asyncio.timeout(PATIENCE_S):
        trioq.check_cancelled()
        return await pools[-1].get(), asyncio.get_running_loop() is loops[-1]


loops: list[asyncio.AbstractEventLoop] = []


@app.job(queue="high", runtime="asyncio")
async def waits(job: trioq.Job) -> None:
    begun.append(job.uid)
    await asyncio.sleep(PATIENCE_S)


@app.job(queue="high")
async def endless(job: trioq.Job) -> None:
    begun.append(job.uid)
    await trio.sleep_forever()


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


Program = Callable[
    [trioq.aio.Client, "asyncio.Task[None]", asyncio.Event], Coroutine[Any, Any, None]
]


def run(config: Path, main: Program) -> list[Event]:
    events: list[Event] = []

    async def program() -> None:
        async with asyncio.timeout(PATIENCE_S), trioq.aio.connect(config) as client:
            started, drain = asyncio.Event(), asyncio.Event()
            engine = asyncio.create_task(
                trioq.aio.run_engine(
                    app, config, report=events.append, started=started, drain=drain
                )
            )
            await started.wait()
            await main(client, engine, drain)
            assert engine.done()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(program())
    return events


def test_it_runs_jobs_beside_what_the_program_does_until_it_is_drained(config: Path) -> None:
    turns = 0

    async def main(
        client: trioq.aio.Client, engine: asyncio.Task[None], drain: asyncio.Event
    ) -> None:
        async def turn() -> None:
            nonlocal turns
            while not engine.done():
                turns += 1
                await asyncio.sleep(0.001)

        turning = asyncio.create_task(turn())
        for _ in range(5):
            calls = [double.call(3), triple.call(3), quadruple.call(3)]
            handles = await client.enqueue_many(calls)
            results = await asyncio.gather(*(handle.result(PATIENCE_S) for handle in handles))
            assert results == [6, 9, 12]
        drain.set()
        await engine
        await turning

    events = run(config, main)
    assert [type(event) for event in events][-1] is EngineStopped
    assert turns > 5


def test_one_that_is_cancelled_gives_its_jobs_back_and_is_waited_for(config: Path) -> None:
    async def main(
        client: trioq.aio.Client, engine: asyncio.Task[None], drain: asyncio.Event
    ) -> None:
        handle = await begins(client, endless.call())
        engine.cancel()
        with pytest.raises(asyncio.CancelledError):
            await engine
        assert (await handle.status()).state == "ready"

    events = run(config, main)
    assert [type(event) for event in events if isinstance(event, JobReleased)] == [JobReleased]


def test_signals_stay_the_programs(config: Path) -> None:
    async def program() -> None:
        started, told, drain = asyncio.Event(), asyncio.Event(), asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
        running = trioq.aio.run_engine(
            app, config, report=lambda event: None, started=started, drain=drain
        )
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            group.create_task(running)
            await started.wait()
            os.kill(os.getpid(), signal.SIGUSR1)
            await told.wait()
            drain.set()

    asyncio.run(program())


def test_one_that_is_cancelled_before_it_has_begun_ends(config: Path) -> None:
    async def main() -> None:
        engine = asyncio.create_task(trioq.aio.run_engine(app, config, report=lambda event: None))
        await asyncio.sleep(0)
        engine.cancel()
        with pytest.raises(asyncio.CancelledError):
            await engine

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before + 3


def test_what_it_raises_comes_out_plain(tmp_path: Path) -> None:
    config = tmp_path / "jobqueue.toml"
    config.write_text(CONFIG.format(url="redis://127.0.0.1:1"))

    async def main() -> None:
        with pytest.raises(trioq.StoreUnreachable):
            await trioq.aio.run_engine(app, config)
        file = tmp_path / "wrong.toml"
        file.write_text("no = 1")
        with pytest.raises(trioq.ConfigError):
            await trioq.aio.run_engine(app, file)

    asyncio.run(main())


async def begins(client: trioq.aio.Client, call: trioq.Call[Any]) -> trioq.Handle[Any]:
    handle = await client.enqueue(call)
    while handle.uid not in begun:  # noqa: ASYNC110 - its handler may be trio's
        await asyncio.sleep(0.001)
    return handle


def test_handlers_of_asyncio_may_use_what_belongs_to_the_programs_loop(config: Path) -> None:
    async def main(
        client: trioq.aio.Client, engine: asyncio.Task[None], drain: asyncio.Event
    ) -> None:
        pools.append(asyncio.Queue())
        loops.append(asyncio.get_running_loop())
        handle = await client.enqueue(borrow.call())
        await asyncio.sleep(0)
        await pools[-1].put("a connection")
        assert await handle.result(PATIENCE_S) == ("a connection", True)
        assert not [each for each in threading.enumerate() if each.name == "trioq asyncio"]
        drain.set()
        await engine
        assert loops[-1].is_running()

    run(config, main)


def test_one_in_asyncio_is_cancelled_like_any_other(config: Path) -> None:
    async def main(
        client: trioq.aio.Client, engine: asyncio.Task[None], drain: asyncio.Event
    ) -> None:
        handle = await begins(client, waits.call())
        assert await handle.cancel("no need", wait=PATIENCE_S) == trioq.CancelOutcome.stopped
        drain.set()
        await engine

    run(config, main)


def test_a_program_that_ends_with_all_of_its_tasks_has_its_jobs_given_back(config: Path) -> None:
    events: list[Event] = []

    async def program() -> None:
        async with asyncio.timeout(PATIENCE_S), trioq.aio.connect(config) as client:
            started = asyncio.Event()
            running = trioq.aio.run_engine(app, config, report=events.append, started=started)
            kept.append(asyncio.create_task(running))
            await started.wait()
            for _ in range(3):
                handles.append(await begins(client, waits.call()))

    kept, handles = list[asyncio.Task[None]](), list[trioq.Handle[Any]]()
    asyncio.run(program())  # it cancels all that goes on at the end of main
    assert [type(event) for event in events if isinstance(event, ENDS)] == [JobReleased] * 3
    with trioq.connect_sync(config) as client:
        assert {client.handle(each.uid).status().state for each in handles} == {"ready"}


def test_a_second_engine_in_a_thread_and_one_without_asyncio_are_told(config: Path) -> None:
    async def main(
        client: trioq.aio.Client, engine: asyncio.Task[None], drain: asyncio.Event
    ) -> None:
        with pytest.raises(RuntimeError, match="there is one at a time"):
            await trioq.aio.run_engine(app, config)
        drain.set()
        await engine

    run(config, main)

    async def in_trio() -> None:
        await trioq.aio.run_engine(app, config)

    with pytest.raises(RuntimeError, match=r"in trio it is trioq\.Engine"):
        trio.run(in_trio)


def test_who_gives_an_engine_something_else_than_an_app_is_told(config: Path) -> None:
    with pytest.raises(TypeError, match=r"an engine takes the trioq\.App itself; got"):
        asyncio.run(trioq.aio.run_engine(cast(Any, "jobs:app"), config))
