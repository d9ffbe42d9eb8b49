"""Views that enqueue, called by the test clients of their frameworks: their clients lead into the
world, whichever way they are opened, and the jobs run when the test says so."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from flask import Flask

import trioq
from trioq.contrib.flask import Trioq
from trioq.contrib.starlette import client_of, lifespan, sync_client_of
from trioq.testing import World

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it wants the next httpx
    from starlette.testclient import TestClient

handlers = trioq.App()
NOWHERE: Any = {"url": "redis://localhost:1", "namespace": "shop"}

#: Made where it is loaded, as programs make theirs.
client = trioq.connect_sync(**NOWHERE)


@handlers.job(queue="default", result="1h")
async def double(number: int) -> int:
    return 2 * number


@pytest.fixture
def trioq_app() -> trioq.App:
    return handlers


# -- Flask -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web() -> Flask:
    """One for many tests, each with a world of its own."""
    jobs, app = Trioq(), Flask("shop")
    app.config.update(TRIOQ_URL=NOWHERE["url"], TRIOQ_NAMESPACE="shop")
    jobs.init_app(app)

    @app.post("/double/<int:number>")
    def enqueue(number: int) -> str:
        return jobs.client.enqueue(double.call(number), id=str(number)).uid

    @app.get("/double/<uid>")
    def result(uid: str) -> str:
        handle = jobs.client.handle(uid, of=double)
        return str(handle.result()) if handle.status().has_ended else "later"

    @app.post("/module")
    def with_the_module_s() -> str:
        return client.enqueue(double.call(1)).uid

    return app


@pytest.mark.parametrize("number", [1, 2])
def test_a_view_of_flask_enqueues_and_shows_what_came_of_it(
    tq: World, web: Flask, number: int
) -> None:
    browser = web.test_client()
    uid = browser.post("/double/1").text
    assert browser.get(f"/double/{uid}").text == "later"
    assert tq.run(tq.drain).done == 1
    assert browser.get(f"/double/{uid}").text == "2"


def test_a_client_of_a_module_leads_into_each_world(tq: World, web: Flask) -> None:
    uid = web.test_client().post("/module").text
    assert tq.sync_client.handle(uid, of=double).status().state == "ready"


# -- FastAPI and Starlette ---------------------------------------------------------------------


def api(**options: Any) -> FastAPI:
    made = FastAPI(lifespan=lifespan(**NOWHERE, **options))

    @made.post("/double/{number}")
    async def enqueue(number: int, jobs: Annotated[trioq.Client, Depends(client_of)]) -> str:
        return (await jobs.enqueue(double.call(number))).uid

    @made.post("/sync/{number}")
    def in_a_thread(number: int, jobs: Annotated[trioq.SyncClient, Depends(sync_client_of)]) -> str:
        return jobs.enqueue(double.call(number)).uid

    @made.get("/double/{uid}")
    async def result(uid: str, jobs: Annotated[trioq.Client, Depends(client_of)]) -> int:
        return await (await jobs.handle(uid, of=double)).result(timeout=5)

    return made


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_endpoints_enqueue_and_show_what_came_of_it(tq: World, backend: Any) -> None:
    with TestClient(api(), backend=backend) as browser:
        for path in ("/double/2", "/sync/2"):
            uid = browser.post(path).json()
            assert tq.run(tq.drain).done == 1
            assert browser.get(f"/double/{uid}").json() == 4


def test_an_engine_beside_an_application_is_the_tests_own(tq: World) -> None:
    with TestClient(api(engine=handlers)) as browser:
        uid = browser.post("/double/2").json()
        assert tq.sync_client.handle(uid).status().state == "ready"
        tq.run(tq.drain)
        assert browser.get(f"/double/{uid}").json() == 4
