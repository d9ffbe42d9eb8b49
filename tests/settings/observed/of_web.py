"""The page and its API: who may look and act, and what nobody is shown."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from tests.settings.observed.place import Place, row
from trioq.core.config import WebConfig
from trioq.settings import load
from trioq.web.problems import Problem
from trioq.web.who.guard import Guard, Known
from trioq.web.who.passwords import hash_password
from trioq.web.who.roles import Role
from trioq.web.who.sessions import Sessions
from trioq.web.who.tokens import hash_token

PASSWORD = hash_password("secret")


def asked(headers: dict[str, str], peer: str = "10.1.2.3") -> HTTPConnection:
    """A request."""
    sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": sent, "client": (peer, 5000)})


def configured(place: Place, **others: Any) -> WebConfig:
    return load(place.configure(**others)).web


async def known(web: WebConfig, headers: dict[str, str]) -> Known | None:
    return await Guard(web).who(asked(headers))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@row("web.users.NAME.role", "operate")
async def role(place: Place) -> None:
    web = configured(place, web__users__told__password=PASSWORD)
    guard = Guard(web)
    cookie = await guard.log_in("10.1.2.3", "told", "secret")
    found = await guard.who(asked({"cookie": f"trioq-session={cookie}"}))
    assert found is not None
    assert found.user.role is Role.operate


@row("web.users.NAME.password", PASSWORD)
async def password(place: Place) -> None:
    guard = Guard(configured(place, web__users__told__role="read"))
    with pytest.raises(Problem):
        await guard.log_in("10.1.2.3", "told", "wrong")
    assert await guard.log_in("10.1.2.3", "told", "secret")


@row("web.tokens.NAME.sha256", hash_token("a token"))
async def sha256(place: Place) -> None:
    found = await known(configured(place), bearer("a token"))
    assert found is not None
    assert found.user.name == "told"


@row("web.tokens.NAME.role", "admin")
async def token_role(place: Place) -> None:
    found = await known(
        configured(place, web__tokens__told__sha256=hash_token("a token")), bearer("a token")
    )
    assert found is not None
    assert found.user.role is Role.admin


@row("web.proxies", ["10.1.0.0/16"])
async def proxies(place: Place) -> None:
    web = configured(place, web__proxy_header="X-User", web__proxy_role="read")
    assert await known(web, {"x-user": "ada"})


@row("web.proxy_header", "X-User")
async def proxy_header(place: Place) -> None:
    web = configured(place, web__proxies=["10.1.2.3"], web__proxy_role="read")
    found = await known(web, {"x-user": "ada"})
    assert found is not None
    assert found.user.name == "ada"


@row("web.proxy_role", "operate")
async def proxy_role(place: Place) -> None:
    web = configured(place, web__proxies=["10.1.2.3"], web__proxy_header="X-User")
    found = await known(web, {"x-user": "ada"})
    assert found is not None
    assert found.user.role is Role.operate


@row("web.session", "1h")
async def session(place: Place) -> None:
    web, now = configured(place), 0.0
    sessions = Sessions(web.session_s, lambda: now)
    cookie = sessions.begin("ada")
    now = 1790.0
    assert sessions.name_of(cookie) == "ada"
    now = 3580.0
    assert sessions.name_of(cookie) == "ada"
    now = 3600.0
    assert sessions.name_of(cookie) is None


@row("web.sensitive", ["password"])
async def sensitive(place: Place) -> None:
    assert configured(place).sensitive == ("password",)


@row("web.bind", "127.0.0.1:…")
async def bind(place: Place) -> None:
    place.value = "127.0.0.1:9180"
    assert configured(place).address == ("127.0.0.1", 9180)
