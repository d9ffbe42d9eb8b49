"""An operator has one engine drain, from elsewhere; others go on."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import trioq
from tests.support import PATIENCE_S, Server
from trioq.core.events import DrainAsked, EngineStarted, EngineStopping, Event
from trioq.store.inspect import ask_to_drain


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    path = tmp_path / "q.toml"
    path.write_text(f"""
        namespace = "t"
        redis = {{ url = "{server.url}" }}
        observability = {{ bind = "", queue_sample_interval = "20ms" }}
    """)
    return path


@pytest.mark.trio
async def test_an_engine_ends_when_what_it_runs_has_ended_and_another_goes_on(
    config: Path, server: Server
) -> None:
    app, running, gate, told = trioq.App(), trio.Event(), trio.Event(), list[Event]()

    @app.job("waits")
    async def waits() -> str:
        running.set()
        await gate.wait()
        return "done"

    def ask() -> list[str | None]:
        with trioq.connect_admin(config) as admin:
            (boot,) = (event.boot for event in told if isinstance(event, EngineStarted))
            return [
                admin.drain_engine("nobody"),
                *(admin.drain_engine(boot, "new kernel", by="ada") for _ in range(2)),
            ]

    others = list[Event]()
    other = trioq.Engine(trioq.App(), config, report=others.append)
    one = trioq.Engine(app, config, report=told.append)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(other.run)
            async with trio.open_nursery() as its, trioq.connect(config) as client:
                await its.start(one.run)
                handle = await client.enqueue("waits", {}, result=60)
                await running.wait()
                asked = await trio.to_thread.run_sync(ask)
                while not any(isinstance(e, DrainAsked) for e in told):  # noqa: ASYNC110
                    await trio.sleep(0.005)
                gate.set()
                assert await handle.result() == "done"
            assert not any(isinstance(event, EngineStopping) for event in others)
            other.drain()
    assert asked[0] is None
    assert asked[1] == asked[2] is not None
    assert [event for event in told if isinstance(event, DrainAsked)] == [
        DrainAsked("ada", "new kernel")
    ]


@pytest.mark.trio
async def test_whatever_was_said_the_engine_drains(config: Path, server: Server) -> None:
    told = list[Event]()
    engine = trioq.Engine(trioq.App(), config, report=told.append)

    def spoil() -> None:
        store = server.store()
        for each in store.engines():
            ask_to_drain(store, each, "", "")
            store.lane.call("SET", store.keys.of("drain", each), b"\xff{")
        store.lane.close()

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            await trio.to_thread.run_sync(spoil)
    assert DrainAsked("", "") in told
