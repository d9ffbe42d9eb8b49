"""An engine in somebody else's nursery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.client.test_client import configured
from tests.support import Server
from trioq.core.events import EngineStopping, Event, JobReleased
from trioq.errors import ConfigError, StoreError, StoreRefused, StoreUnreachable
from trioq.store.inspect import stats


def an_app() -> tuple[trioq.App, list[str], trio.Event]:
    """Two handlers, what they have done, and what the second waits for."""
    app, done, gate = trioq.App(), list[str](), trio.Event()

    @app.job("greet", queue="high")
    async def greet(name: str) -> None:
        done.append(name)

    @app.job("wait")
    async def wait() -> None:
        done.append("waiting")
        await gate.wait()
        done.append("waited")

    return app, done, gate


async def until(what: Any) -> None:
    with trio.fail_after(20):
        while not what():  # noqa: ASYNC110 (an engine tells nobody but its listener)
            await trio.sleep(0.005)


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@pytest.mark.trio
async def test_it_has_started_when_a_job_can_run_and_ends_when_it_is_told_to(config: Path) -> None:
    app, done, _ = an_app()
    engine = trioq.Engine(app, config)
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        assert await nursery.start(engine.run) is engine
        await client.enqueue("greet", {"name": "Ada"}, queue="high")
        await until(lambda: done == ["Ada"])
        engine.drain()


@pytest.mark.trio
async def test_draining_finishes_what_runs(config: Path) -> None:
    app, done, gate = an_app()
    told: list[Event] = []
    engine = trioq.Engine(app, config, report=told.append)
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await client.enqueue("wait", {})
        await until(lambda: done == ["waiting"])
        engine.drain()
        await until(lambda: any(isinstance(event, EngineStopping) for event in told))
        await client.enqueue("greet", {"name": "too late"})
        gate.set()
    assert done == ["waiting", "waited"]


@pytest.mark.trio
async def test_cancelling_the_nursery_gives_the_jobs_back(config: Path, server: Server) -> None:
    app, done, _ = an_app()
    told: list[Event] = []
    engine = trioq.Engine(app, config, report=told.append)
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await client.enqueue("wait", {})
        await until(lambda: done == ["waiting"])
        nursery.cancel_scope.cancel()
    store = server.store("t")
    left = stats(store)
    store.lane.close()
    assert (left.queues["low"].ready, left.running) == (1, 0)
    assert done == ["waiting"]
    assert len([event for event in told if isinstance(event, JobReleased)]) == 1


@pytest.mark.trio
async def test_two_engines_share_a_nursery_and_the_work(config: Path) -> None:
    app, done, _ = an_app()
    engines = [trioq.Engine(app, config), trioq.Engine(app, config)]
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        for engine in engines:
            await nursery.start(engine.run)
        await client.enqueue_many(app_calls(app, 200))
        await until(lambda: len(done) == 200)
        engines[0].drain()
        await client.enqueue_many(app_calls(app, 20))
        await until(lambda: len(done) == 220)
        engines[1].drain()
    assert sorted(done) == sorted([*map(str, range(200)), *map(str, range(20))])


def app_calls(app: trioq.App, count: int) -> list[trioq.Call]:
    return [trioq.Call("greet", {"name": str(n)}, "high") for n in range(count)]


@pytest.mark.trio
async def test_told_to_drain_before_it_runs_it_starts_and_ends(config: Path) -> None:
    engine = trioq.Engine(an_app()[0], config)
    engine.drain()
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)


@pytest.mark.trio
async def test_a_handlers_failure_never_reaches_the_nursery(config: Path) -> None:
    app, done, _ = an_app()

    @app.job("exit", retry=trioq.Retry(max_attempts=1))
    async def leave() -> None:
        raise SystemExit("not from here")

    engine = trioq.Engine(app, config)
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await client.enqueue("exit", {})
        await client.enqueue("greet", {"name": "after"})
        await until(lambda: done == ["after"])
        engine.drain()


# --- its errors come out plain ----------------------------------------------------------------


@pytest.mark.trio
async def test_a_server_that_is_not_there_is_one_plain_error(
    own_server: Server, tmp_path: Path
) -> None:
    config = configured(own_server, tmp_path)
    own_server.kill()
    with pytest.raises(StoreUnreachable):
        await trioq.Engine(an_app()[0], config).run()


@pytest.mark.trio
async def test_a_wrong_password_is_one_plain_error(own_server: Server, tmp_path: Path) -> None:
    config = configured(own_server, tmp_path)
    own_server.call("CONFIG", "SET", "requirepass", "secret")
    with pytest.raises(StoreError, match=r"NOAUTH|password|uthentication"):
        await trioq.Engine(an_app()[0], config).run()


@pytest.mark.trio
async def test_a_no_while_it_runs_is_one_plain_error(config: Path, server: Server) -> None:
    engine = trioq.Engine(an_app()[0], config)

    async def run(task_status: trio.TaskStatus[trioq.Engine]) -> None:
        with pytest.raises(StoreRefused, match="WRONGTYPE"):
            await engine.run(task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        server.call("SET", "{t}:paused", "not a set")


def test_a_wrong_configuration_is_told_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "jobqueue.toml"
    file.write_text("wrong = 1\n")
    with pytest.raises(ConfigError, match="wrong"):
        trioq.Engine(trioq.App(), file)


@pytest.mark.trio
async def test_cancelling_ends_the_start_though_the_server_stands_still(
    own_server: Server, tmp_path: Path
) -> None:
    config = configured(own_server, tmp_path)
    own_server.pause()
    with trio.move_on_after(0.1) as scope:
        await trioq.Engine(an_app()[0], config).run()
    own_server.resume()
    assert scope.cancelled_caught
