"""``job.client`` and ``job.sync_client``: one of each in an engine, for all handlers alike."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.client import asking
from tests.client.test_client import configured
from tests.support import PATIENCE_S, Server
from trioq.core.events import Event
from trioq.core.job import Job
from trioq.errors import StoreClosed

HOUR_S = 3600.0


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@asynccontextmanager
async def serving(app: trioq.App, config: Path) -> AsyncIterator[trioq.Client]:
    """An engine, and a client beside it."""
    events: list[Event] = []
    engine = trioq.Engine(app, config, report=events.append)
    with trio.fail_after(PATIENCE_S):
        async with trioq.connect(config) as client, trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            yield client
            engine.drain()


@pytest.mark.trio
@pytest.mark.parametrize("handler", [asking.task, asking.loop, asking.thread], ids=repr)
async def test_jobs_share_their_engines_client(config: Path, handler: Any) -> None:
    async with serving(asking.here, config) as client:
        told = [await client.call(handler.call(n), timeout=PATIENCE_S) for n in (1, 2)]
    assert [n for _, n, _ in told] == [2, 3]
    assert len({client for client, *_ in told}) == 1


@pytest.mark.trio
async def test_jobs_of_runners_have_a_client_there(config: Path) -> None:
    async with serving(asking.app, config) as client:
        for handler in (asking.task_apart, asking.loop_apart, asking.thread_apart):
            assert (await client.call(handler.call(1), timeout=PATIENCE_S))[1] == 2


@pytest.mark.trio
@pytest.mark.parametrize("handler", [asking.task, asking.loop, asking.thread], ids=repr)
async def test_what_it_enqueues_inherits_the_jobs_deadline(config: Path, handler: Any) -> None:
    deadline = datetime.datetime(2031, 5, 1, tzinfo=datetime.UTC)
    async with serving(asking.here, config) as client:
        told = await client.call(handler.call(1), timeout=PATIENCE_S, deadline=deadline)
    assert told[2] == deadline.timestamp() * 1000


@pytest.mark.trio
@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (asking.blocks, "would block the loop here.*await job.client.enqueue"),
        (asking.blocks_asyncio, "would block the loop here"),
        (asking.awaits, "this is a thread.*job.sync_client is the client there"),
        (asking.in_trio_of_its_own, "this is another one.*trioq.connect"),
        (asking.in_asyncio_of_its_own, "this is another one.*trioq.aio.connect"),
    ],
    ids=repr,
)
async def test_the_wrong_one_is_told_with_the_right_one_and_not_tried_again(
    config: Path, handler: Any, told: str
) -> None:
    async with serving(asking.here, config) as client:
        with pytest.raises(trioq.JobDied, match=told) as error:
            await client.call(handler.call(), timeout=PATIENCE_S)
    assert error.value.reason == "bad_handler"


@pytest.mark.trio
async def test_no_job_closes_it_for_the_others(config: Path) -> None:
    async with serving(asking.here, config) as client:
        for handler in (
            asking.enters, asking.enters_asyncio, asking.closes,
            asking.enters_thread, asking.closes_thread,
        ):  # fmt: skip
            with pytest.raises(trioq.JobDied, match="is the engine's, which closes it") as error:
                await client.call(handler.call(), timeout=PATIENCE_S)
            assert error.value.reason == "bad_handler"
        for after in (asking.task, asking.loop, asking.thread):
            assert (await client.call(after.call(1), timeout=PATIENCE_S))[1] == 2


@pytest.mark.trio
async def test_a_thread_that_knows_no_job_is_told_to_be_handed_the_client(config: Path) -> None:
    async with serving(asking.here, config) as client:
        call = asking.in_a_thread_of_its_own.call()
        assert "is handed the client by it" in await client.call(call, timeout=PATIENCE_S)


def test_where_no_engine_runs_a_job_it_has_no_client() -> None:
    job = Job(uid="0" * 32, name="test", queue="low", payload={})
    with pytest.raises(LookupError, match=r"job[.]client: no engine runs this"):
        _ = job.client
    with pytest.raises(LookupError, match=r"job[.]sync_client: no engine runs this"):
        _ = job.sync_client


@pytest.mark.trio
async def test_a_call_that_is_under_way_when_the_engine_ends_is_over_and_the_job_goes_back(
    config: Path,
) -> None:
    app, ends, waits = trioq.App(), list[BaseException](), trio.Event()

    @app.job
    async def waits_for_another(job: trioq.Job) -> None:
        handle = await job.client.enqueue(asking.child.call(1), delay=HOUR_S)
        waits.set()
        try:
            await handle.wait()
        except BaseException as error:
            ends.append(error)
            raise

    app.include(asking.here)
    async with trioq.connect(config) as client:
        handle = await client.enqueue(waits_for_another.call())
        engine = trioq.Engine(app, config, report=lambda event: None)
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(engine.run)
                await waits.wait()
                nursery.cancel_scope.cancel()
        assert isinstance(ends[0], trio.Cancelled)
        assert (await handle.status()).state == "ready"


@pytest.mark.trio
async def test_it_is_closed_with_its_engine(config: Path) -> None:
    app, kept = trioq.App(), list[Any]()

    @app.job(result="1h")
    async def keeps(job: trioq.Job) -> None:
        kept.append(job.client)

    @app.job(result="1h")
    def keeps_too(job: trioq.Job) -> None:
        kept.append(job.sync_client)

    async with serving(app, config) as client:
        await client.call(keeps.call(), timeout=PATIENCE_S)
        await client.call(keeps_too.call(), timeout=PATIENCE_S)
    with pytest.raises(StoreClosed):
        await kept[0].enqueue("keeps")
    with pytest.raises(StoreClosed):
        kept[1].enqueue("keeps")


@pytest.mark.trio
async def test_it_knows_the_queues_of_its_engines_handlers(config: Path) -> None:
    """The configuration names no app, so no other client could know."""
    app = trioq.App()

    @app.job("by name", queue="high")
    def by_name() -> None: ...

    @app.job(result="1h")
    async def asks(job: trioq.Job) -> str:
        return (await job.client.enqueue("by name")).queue

    async with serving(app, config) as client:
        assert await client.call(asks.call(), timeout=PATIENCE_S) == "high"
