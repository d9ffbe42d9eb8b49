"""What moves: one look for all pages that are open, and only what has changed is told."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from tests.cli.conftest import write_config
from tests.scene import Scene
from tests.support import Server, new_job
from tests.web.site.conftest import Browser
from trioq.settings import load
from trioq.store.connect import open_store
from trioq.store.redis import RedisStore
from trioq.web.desk import Desk
from trioq.web.site import live
from trioq.web.site.live import Live, events
from trioq.web.site.look import TOPICS

Events = AsyncGenerator[bytes, None]


def told(said: bytes) -> Any:
    """The data of an event."""
    kind, data = said.decode().strip().split("\n")
    assert kind == "event: look"
    return json.loads(data.removeprefix("data: "))


def opened(of: Live, topic: str, **asked: str) -> Events:
    return cast(Events, events(of, topic, asked))


def looks(server: Server) -> int:
    """How often somebody asked engines to tell what they do: once with each look."""
    stats = server.call("INFO", "commandstats").decode()
    calls = [line for line in stats.splitlines() if line.startswith("cmdstat_set:")]
    return int(calls[0].partition("calls=")[2].partition(",")[0]) if calls else 0


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_what_has_changed_is_told_and_nothing_else(
    desk: Desk, store: RedisStore, backend: str
) -> None:
    async def body() -> None:
        page = opened(Live(desk, every_s=0.01), "queue", queue="high")
        assert (await anext(page)).startswith(b"retry:")
        first = told(await anext(page))
        assert first["text"]["queue/high/ready"] == "0"
        Scene.on(store).enqueue(new_job("high"))
        then = told(await anext(page))
        while "queue/high/ready" not in then.get("text", {}):  # an age may have passed
            then = told(await anext(page))
        assert then["text"]["queue/high/ready"] == "1"
        assert "queue/high/parked" not in then["text"]
        await page.aclose()

    anyio.run(body, backend=backend)


def test_any_number_of_pages_costs_one_look(desk: Desk, server: Server) -> None:
    async def body() -> None:
        of = Live(desk, every_s=60.0)
        pages = [opened(of, topic) for topic in TOPICS for _ in range(10)]
        before = looks(server)
        async with anyio.create_task_group() as group:

            async def first(page: Events) -> None:
                await anext(page)
                told(await anext(page))

            for page in pages:
                group.start_soon(first, page)
        assert looks(server) == before + 1
        assert of.open.total() == len(pages)
        for page in pages:
            await page.aclose()
        assert of.open.total() == 0

    anyio.run(body, backend="trio")


def test_who_looks_for_all_may_leave_and_another_looks(desk: Desk) -> None:
    async def body() -> None:
        of = Live(desk, every_s=0.02)
        first = await of.next(None)
        async with anyio.create_task_group() as group:
            leaving = anyio.CancelScope()

            async def leave() -> None:
                with leaving:
                    await of.next(first)

            group.start_soon(leave)
            await anyio.wait_all_tasks_blocked()
            assert of.last is first  # the other waits for its turn to look
            leaving.cancel()
            assert await of.next(first) is not first

    anyio.run(body, backend="trio")


def test_while_redis_is_away_open_pages_are_told_and_go_on(
    own_server: Server, tmp_path: Path
) -> None:
    config = load(write_config(tmp_path, own_server))

    async def body(desk: Desk) -> None:
        page = opened(Live(desk, every_s=0.01), "overview")
        await anext(page)
        told(await anext(page))
        own_server.kill()
        said = await anext(page)
        while said.startswith(b"event: look"):
            said = await anext(page)
        assert said.startswith(b"event: away")
        own_server.start()
        while said.startswith(b"event: away"):
            said = await anext(page)
        assert "ready" in told(said)["text"]
        await page.aclose()

    with open_store(config) as connector:
        anyio.run(body, Desk(config, connector), backend="trio")


def test_a_stream_ends_so_that_who_mayn_t_look_any_more_is_noticed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LASTS_S", 0.05)

    async def body() -> None:
        of = Live(desk, every_s=0.01)
        said = [each async for each in events(of, "overview", {})]
        assert len(said) >= 2
        assert of.open.total() == 0

    anyio.run(body, backend="trio")


def test_more_pages_than_that_are_still(
    browser: Browser, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAMS", 0)
    answer = browser.ask("GET", "/live/overview")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    browser.get("/live/nothing", status=404)


@pytest.mark.parametrize("path", ["/", "/queues", "/queues/low", "/limits"])
def test_what_a_page_shows_and_what_it_is_told_have_the_same_keys(
    browser: Browser, desk: Desk, store: RedisStore, path: str
) -> None:
    Scene.on(store).enqueue(new_job("low"))
    html = browser.get(path)
    (body,) = html.all("body")
    topic, _, query = str(body.attributes["data-stream"]).removeprefix("/live/").partition("?")
    asked = dict(part.split("=") for part in query.split("&") if part)

    async def first() -> Any:
        page = opened(Live(desk), topic, **asked)
        await anext(page)
        data = told(await anext(page))
        await page.aclose()
        return data

    keys = anyio.run(first).get("text", {}).keys()
    shown = {e.attributes["data-live"] for e in html.elements if "data-live" in e.attributes}
    assert shown <= keys
