"""In FastAPI and Starlette, the real ones, endpoints enqueue, and an engine may run beside them."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
import trio
from fastapi import Depends, FastAPI
from httpx import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import trioq
from tests.client.test_client import configured, greet, ready
from tests.engine.rig import rig_on
from tests.support import PATIENCE_S, Server
from trioq.contrib.starlette import client_of, lifespan, sync_client_of
from trioq.errors import StoreClosed, StoreError, StoreUnreachable

Jobs = Annotated[trioq.Client, Depends(client_of)]
SyncJobs = Annotated[trioq.SyncClient, Depends(sync_client_of)]

handlers = trioq.App(runtime="asyncio")


@handlers.job(queue="high", result="1h")
async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def shop(spans: Any = None) -> FastAPI:
    api = FastAPI(lifespan=spans)

    @api.get("/greet/{name}")
    async def by_coroutine(name: str, jobs: Jobs) -> str:
        return (await jobs.enqueue(greet.call(name))).uid

    @api.get("/sync/{name}")
    def in_a_thread(name: str, jobs: SyncJobs) -> str:
        return jobs.enqueue(greet.call(name)).uid

    @api.get("/double/{number}")
    async def doubled(number: int, jobs: Jobs) -> int:
        return await (await jobs.enqueue(double.call(number))).result(timeout=PATIENCE_S)

    return api


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


async def started(api: Starlette, *paths: str) -> list[Response]:
    """What a program gets from it, which it has started."""
    async with (
        api.router.lifespan_context(api),
        AsyncClient(transport=ASGITransport(api), base_url="http://shop") as http,
    ):
        return [await http.get(path) for path in paths]


async def asked(api: Starlette) -> None:
    """As it is, without starting it."""
    async with AsyncClient(transport=ASGITransport(api), base_url="http://shop") as http:
        await http.get("/greet/Ada")


def get(api: Starlette, *paths: str) -> list[Any]:
    return [answer.json() for answer in asyncio.run(started(api, *paths))]


def queued(server: Server) -> list[str]:
    with rig_on(server) as rig:
        return ready(rig, "high")


def test_endpoints_of_both_kinds_enqueue(config: Path, server: Server) -> None:
    assert get(shop(lifespan(config)), "/greet/Ada", "/sync/Bob") == queued(server)


def test_an_application_may_be_started_again_also_in_trio(config: Path, server: Server) -> None:
    api = shop(lifespan(config))
    made = get(api, "/greet/Ada", "/sync/Bob")
    for answer in trio.run(started, api, "/greet/Ada", "/sync/Bob"):
        made.append(answer.json())
    assert made == queued(server)


def test_starlette_itself_has_it_too(config: Path, server: Server) -> None:
    async def endpoint(request: Request) -> JSONResponse:
        jobs = await client_of(request)
        return JSONResponse((await jobs.enqueue(greet.call("Ada"))).uid)

    api = Starlette(routes=[Route("/", endpoint)], lifespan=lifespan(config))
    assert get(api, "/") == queued(server)


def test_the_applications_own_lifespan_is_inside(config: Path, server: Server) -> None:
    made: list[str] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        jobs: trioq.Client = app.state.trioq
        made.append((await jobs.enqueue(greet.call("in the beginning"))).uid)
        yield {"word": "kept"}
        made.append((await jobs.enqueue(greet.call("in the end"))).uid)

    async def program() -> None:
        api = shop(lifespan(config, own))
        async with api.router.lifespan_context(api) as state:
            assert state == {"word": "kept"}

    asyncio.run(program())
    assert made == queued(server)


def test_the_clients_are_closed_at_the_end(config: Path) -> None:
    @asynccontextmanager
    async def own(api: Starlette) -> AsyncIterator[None]:
        kept.append((api.state.trioq, api.state.trioq_sync))
        yield

    kept = list[tuple[trioq.Client, trioq.SyncClient]]()
    get(shop(lifespan(config, own)), "/greet/Ada", "/sync/Bob")
    [(client, sync_client)] = kept
    with pytest.raises(StoreClosed):
        sync_client.enqueue(greet.call("too late"))
    with pytest.raises(StoreClosed):
        asyncio.run(client.enqueue(greet.call("too late")))


def test_one_that_is_started_twice_has_its_clients_until_each_ends(config: Path) -> None:
    api = shop(lifespan(config))

    async def program() -> None:
        async with api.router.lifespan_context(api):
            first = api.state.trioq, api.state.trioq_sync
            async with api.router.lifespan_context(api):
                assert api.state.trioq is not first[0]
            assert (api.state.trioq, api.state.trioq_sync) == first

    asyncio.run(program())
    with pytest.raises(RuntimeError, match="no client of trioq"):
        asyncio.run(asked(api))


def test_one_that_is_mounted_shares_the_state(config: Path, server: Server) -> None:
    outer, inner = FastAPI(lifespan=lifespan(config)), shop()
    outer.mount("/shop", inner)
    inner.state = outer.state
    assert get(outer, "/shop/greet/Ada") == queued(server)


def test_who_has_not_started_the_application_is_told() -> None:
    api = shop(lifespan(url="redis://localhost:1", namespace="t"))
    with pytest.raises(RuntimeError, match=r"no client of trioq .* lifespan=lifespan\(…\)"):
        asyncio.run(asked(api))


def test_who_forgets_to_call_it_is_told() -> None:
    with pytest.raises(TypeError, match="it is called, and gives the lifespan"):
        get(shop(lifespan))


def test_what_is_no_lifespan_and_no_app_is_told(config: Path) -> None:
    async def bare(api: Starlette) -> AsyncIterator[None]:
        yield

    wrong: Any
    for wrong in (handlers, bare):
        with pytest.raises(TypeError, match=r"own is what @asynccontextmanager makes.* engine=app"):
            lifespan(config, wrong)
    for wrong in ("jobs:app", True):
        with pytest.raises(TypeError, match=r"engine= takes the trioq\.App"):
            lifespan(config, engine=wrong)


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A configuration of a Redis that is away."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    file = tmp_path / "away.toml"
    file.write_text(
        f'namespace = "t"\n[redis]\nurl = "redis://127.0.0.1:{port}"\n[observability]\nbind = ""\n'
        '[[queues]]\nname = "high"\n'
    )
    return file


def test_an_application_starts_while_redis_is_away_and_its_patience_is_what_it_says(
    nowhere: Path,
) -> None:
    assert get(shop(lifespan(nowhere))) == []
    with pytest.raises(StoreUnreachable):
        get(shop(lifespan(nowhere, patience=0.01)), "/greet/Ada")


# -- an engine beside it -------------------------------------------------------------------------


def test_an_engine_beside_it_runs_jobs(config: Path) -> None:
    api = shop(lifespan(config, engine=handlers))
    assert get(api, *(f"/double/{n}" for n in range(5))) == [0, 2, 4, 6, 8]


def test_what_runs_when_the_application_ends_is_waited_for_before_its_own_lifespan_ends(
    config: Path,
) -> None:
    noted: list[str] = []
    begun = threading.Event()
    app = trioq.App(runtime="asyncio")

    @app.job(queue="high")
    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.01)
        noted.append("done")

    @asynccontextmanager
    async def own(api: FastAPI) -> AsyncIterator[None]:
        yield
        noted.append("closed")

    async def program() -> None:
        api = shop(lifespan(config, own, engine=app))
        async with api.router.lifespan_context(api):
            await api.state.trioq.enqueue(work.call())
            await asyncio.to_thread(begun.wait, PATIENCE_S)
        assert noted == ["done", "closed"]

    asyncio.run(program())


def test_an_engine_that_fails_beside_it_is_told_at_once_and_at_the_end(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fail, told = asyncio.Event(), asyncio.Event()

    async def fails(app: trioq.App) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(broken())
            yield

    async def broken() -> None:
        await fail.wait()
        raise ConnectionError("the pool has died")

    def heard(record: logging.LogRecord) -> bool:
        if record.levelno == logging.CRITICAL:
            told.set()
        return True

    caplog.handler.addFilter(heard)

    async def program() -> None:
        api = shop(lifespan(config, engine=trioq.App(lifespan=fails, runtime="asyncio")))
        async with asyncio.timeout(PATIENCE_S), api.router.lifespan_context(api):
            fail.set()
            await told.wait()

    with pytest.raises(trioq.LifespanError):
        asyncio.run(program())
    assert "the engine has failed: no job runs" in caplog.messages


def test_an_application_whose_engine_cannot_start_does_not(nowhere: Path) -> None:
    begun: list[str] = []

    async def program() -> None:
        api = shop(lifespan(nowhere, engine=handlers))
        async with api.router.lifespan_context(api):
            begun.append("it serves")

    with pytest.raises(StoreError):
        asyncio.run(program())
    assert begun == []
