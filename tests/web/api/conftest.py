"""The API by itself, in this process: who asks is said by the test."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.cli.conftest import Cli, write_config
from tests.support import Server
from trioq.web.api import routes
from trioq.web.desk import Desk
from trioq.web.who.roles import Role, User


@attrs.define
class AtDesk:
    """What the application does before a request comes here: says who asks, and where."""

    app: ASGIApp
    desk: Desk
    user: User

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {}).update(
            desk=self.desk, user=self.user, config=self.desk.config
        )
        await self.app(scope, receive, send)


def served(desk: Desk, role: Role = Role.admin) -> AtDesk:
    """The API, asked by somebody of this role."""
    return AtDesk(Starlette(routes=routes()), desk, User("ana", role))


@attrs.frozen
class Api:
    """Asks it."""

    app: ASGIApp

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """What is answered, whatever that is."""
        url = path if path.startswith("http") else f"/api/v1{path}"
        return trio.run(partial(self.ask, method, url, **more))

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The same, in a loop."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://trioq") as client:
            return await client.request(method, path, **more)

    def get(self, path: str, **query: Any) -> Any:
        """What is answered; fails where it is refused."""
        response = self.request("GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def do(self, operation: str, **fields: Any) -> Any:
        """What comes of it."""
        response = self.request("POST", f"/operations/{operation}", json=fields)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """With which status, and why."""
        response = self.request(method, path, **more)
        assert response.headers["content-type"] == "application/problem+json", response.text
        told = response.json()
        assert told["status"] == response.status_code
        return response.status_code, told.get("detail", "")


@pytest.fixture
def api(desk: Desk) -> Api:
    """An admin asks."""
    return Api(served(desk))


@pytest.fixture
def trioq(server: Server, tmp_path: Path) -> Cli:
    """The command line, on the same data set."""
    return Cli(write_config(tmp_path, server))
