"""Flask, the real one: its views have a client, and handlers its application's context."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask

import trioq
from tests.client.test_client import configured, greet, ready
from tests.contrib import flask_shop as shop
from tests.engine.rig import Rig, config_of, rig_on
from tests.support import PATIENCE_S, Server
from trioq.contrib.flask import Trioq, app_context
from trioq.core.events import JobDied, JobSucceeded
from trioq.errors import ConfigError, StoreUnreachable

jobs = Trioq()


def create_app(**config: object) -> Flask:
    app = Flask(__name__)
    app.config.update(config)
    jobs.init_app(app)

    @app.post("/greet/<name>")
    def view(name: str) -> str:
        return jobs.client.enqueue(greet.call(name)).uid

    return app


def post(app: Flask, path: str = "/greet/Ada") -> str:
    app.testing = True  # what a view raises comes out
    return app.test_client().post(path).text


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


def queued(server: Server) -> list[str]:
    with rig_on(server) as rig:
        return ready(rig, "high")


def test_a_view_enqueues(config: Path, server: Server) -> None:
    app = create_app(TRIOQ_CONFIG=str(config))
    assert [post(app), post(app)] == queued(server)


def test_each_application_has_a_client_of_its_own(config: Path, server: Server) -> None:
    here = create_app(TRIOQ_CONFIG=config)
    there = create_app(TRIOQ_URL=server.url, TRIOQ_NAMESPACE="elsewhere")
    made = [post(here), post(there), post(here)]
    assert queued(server) == [made[0], made[2]]
    with trioq.connect_sync(url=server.url, namespace="elsewhere") as client:
        assert client.handle(made[1]).status().state == "ready"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_are_forked_after_the_import_enqueue(config: Path, server: Server) -> None:
    app = create_app(TRIOQ_CONFIG=str(config))
    post(app)
    child = os.fork()
    if child == 0:
        post(app)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    post(app)
    assert len(queued(server)) == 3


def test_an_application_is_made_while_redis_is_away_and_a_view_is_told(tmp_path: Path) -> None:
    app = create_app(
        TRIOQ_URL=f"unix://{tmp_path}/nobody", TRIOQ_NAMESPACE="t", TRIOQ_PATIENCE=0.01
    )
    with pytest.raises(StoreUnreachable):
        post(app)


def test_a_configuration_that_is_wrong_is_told_when_the_application_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        create_app(TRIOQ_CONFIG=tmp_path / "nowhere.toml")
    with pytest.raises(RuntimeError, match=r"TRIOQ_CONFIG.* has to name a configuration"):
        create_app()
    with pytest.raises(RuntimeError, match="before init_app; not both"):
        create_app(TRIOQ_CONFIG=tmp_path / "jobqueue.toml", TRIOQ_URL="redis://nowhere.invalid")
    with pytest.raises(ValueError, match=r"patience is -1"):
        create_app(TRIOQ_URL="redis://nowhere.invalid", TRIOQ_NAMESPACE="t", TRIOQ_PATIENCE=-1)


def test_who_asks_for_a_client_where_there_is_none_is_told_what_to_do(config: Path) -> None:
    with pytest.raises(RuntimeError, match=r"`with app\.app_context\(\):`"):
        _ = jobs.client
    with Flask("shop").app_context(), pytest.raises(RuntimeError, match=r"'shop'.*init_app\(app\)"):
        _ = jobs.client


def test_the_client_goes_with_its_application(config: Path, server: Server) -> None:
    app = create_app(TRIOQ_CONFIG=str(config))
    post(app)
    assert b"name=trioq:client" in server.call("CLIENT", "LIST")
    del app
    gc.collect()
    assert b"name=trioq:client" not in server.call("CLIENT", "LIST")


# -- handlers ------------------------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize("name", ["in_thread", "in_trio", "in_asyncio", "apart"])
async def test_each_run_has_a_context_of_its_own(rig: Rig, name: str) -> None:
    rig.app, rig.config = shop.handlers, config_of(runners=1, timeout_s=30.0)
    async with rig.running(), trioq.connect(rig.whole_config) as client:
        for _ in range(2):
            told = await client.call(name, queue="low", timeout=PATIENCE_S)
            assert told == "shop 1"


@pytest.mark.trio
async def test_the_application_hears_how_a_run_has_failed(rig: Rig) -> None:
    rig.app = shop.handlers
    shop.ended.clear()
    async with rig.running():
        rig.enqueue("failing")
        await rig.reported(JobDied)
    assert shop.ended == ["OSError('shop 1')"]


@pytest.mark.trio
async def test_a_factory_is_called_once_in_a_process(rig: Rig) -> None:
    rig.app, made = trioq.App(), list[Flask]()

    def create_app() -> Flask:
        made.append(Flask("shop"))
        return made[-1]

    app_context(rig.app, create_app)
    all_run = threading.Barrier(3)

    @rig.app.job
    def run() -> None:
        all_run.wait(PATIENCE_S)

    async with rig.running():
        rig.enqueue("run", 3)
        await rig.reported(JobSucceeded, 3)
    assert len(made) == 1


def test_what_can_make_no_application_is_told_at_once() -> None:
    wrong: Any
    for wrong in ("web:create_app()", "web.py:create_app ", ""):
        with pytest.raises(ValueError, match=r"without \(\), as \"web:create_app\""):
            app_context(trioq.App(), wrong)
    with pytest.raises(TypeError, match="a Flask, what makes it, or where that is; got None"):
        app_context(trioq.App(), cast(Any, None))
    with pytest.raises(TypeError, match=r"first the trioq\.App; got <Flask"):
        app_context(cast(Any, Flask("shop")), cast(Any, trioq.App()))


@pytest.mark.trio
@pytest.mark.parametrize("wrong", [lambda: None, "tests.contrib.flask_shop"])
async def test_what_makes_no_application_is_told_by_the_job(rig: Rig, wrong: Any) -> None:
    rig.app = trioq.App()
    app_context(rig.app, wrong)

    @rig.app.job(retry=trioq.Retry(max_attempts=1))
    def handler() -> None: ...

    async with rig.running():
        rig.enqueue("handler")
        [died] = await rig.reported(JobDied)
    assert "is to be or to make a Flask; it made" in str(died.error)
