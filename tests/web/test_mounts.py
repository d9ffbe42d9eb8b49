"""The page as a part of somebody's program, on a server with real sockets."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message

from tests.cli.conftest import write_config
from tests.support import PATIENCE_S, Server
from trioq.web import asgi
from trioq.web.server import OF_PAGES, serve
from trioq.web.who import Role, User


@pytest.mark.trio
async def test_all_that_a_mounted_page_leads_to_is_below_the_mount(
    server: Server, tmp_path: Path
) -> None:
    page = asgi(write_config(tmp_path, server), authenticate=lambda _: User("ada", Role.admin))
    own = Route("/", lambda _: PlainTextResponse("the program's own"))
    program = Starlette(routes=[own, Mount("/ops/jobs", page)])
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host, port = listener.socket.getsockname()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, program, listener, OF_PAGES)
        await trio.to_thread.run_sync(_looks, f"http://{host}:{port}")
        nursery.cancel_scope.cancel()
    await _closed(page)


def _looks(url: str) -> None:
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as browser:
        assert browser.get("/").text == "the program's own"
        shown = browser.get("/ops/jobs/queues")
        led = set(re.findall(r'(?:href|src|action|data-stream)="([^"]+)"', shown.text))
        assert {each for each in led if not each.startswith("/ops/jobs/")} == {"#main"}
        for path in (each for each in led if "/static/" in each):
            assert browser.get(path).status_code == 200
        [stream] = [each for each in led if "/live/" in each]
        with browser.stream("GET", stream) as events:
            assert next(events.iter_lines()), "while the answer goes on"


async def _closed(page: ASGIApp) -> None:
    """As a server does it that tells a lifespan to what is mounted."""
    told: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Message:
        return told.pop(0)

    async def send(message: Message) -> None:
        assert "complete" in message["type"]

    await page({"type": "lifespan"}, receive, send)
