"""The whole application: who gets in, whose requests may change something, what answers forbid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from tests.cli.conftest import write_config
from tests.support import Server
from trioq.core.config import Config, Secret, WebConfig, WebTokenConfig, WebUserConfig
from trioq.settings import load
from trioq.store.connect import open_store
from trioq.web import asgi
from trioq.web.application import HEADERS, make
from trioq.web.desk import Desk
from trioq.web.operations import OPERATIONS
from trioq.web.who import Role, User
from trioq.web.who.passwords import hash_password
from trioq.web.who.tokens import hash_token

KEPT = Secret(hash_password("secret"))
HERE = "http://127.0.0.1:9180"
OURS = {"origin": HERE}
SOMEBODY = WebConfig(
    users={
        role.name: WebUserConfig(name=role.name, role=role.name, password=KEPT) for role in Role
    },
    tokens={
        role.name: WebTokenConfig(name=role.name, sha256=hash_token(role.name), role=role.name)
        for role in Role
    },
    proxies=("10.0.0.1",),
    proxy_header="X-User",
)


@attrs.define
class Browser:
    """Asks one application, and keeps its cookies; each call is a loop of its own."""

    app: ASGIApp
    peer: str = "127.0.0.1"
    cookies: httpx.Cookies = attrs.field(factory=httpx.Cookies)
    base: str = HERE
    backend: str = "trio"

    def ask(self, method: str, path: str, **about: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(self.peer, 5000))
            async with httpx.AsyncClient(
                transport=transport, base_url=self.base, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **about)
                self.cookies = client.cookies
                return answer

        return anyio.run(asked, backend=self.backend)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers=headers)

    def post(
        self, path: str, fields: dict[str, str] | None = None, **headers: str
    ) -> httpx.Response:
        return self.ask("POST", path, data=fields or {}, headers=OURS | headers)

    def log_in(self, name: str, password: str = "secret", **more: str) -> httpx.Response:
        return self.post("/login", {"name": name, "password": password} | more)


Make = Callable[..., Browser]


@pytest.fixture
def browser(server: Server, tmp_path: Path) -> Iterator[Make]:
    """One of an application that is configured so."""
    config = load(write_config(tmp_path, server))
    with open_store(config) as connector:

        def made(web: WebConfig = SOMEBODY, **about: Any) -> Browser:
            return Browser(make(Desk(attrs.evolve(config, web=web), connector)), **about)

        yield made


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# -- who gets in -------------------------------------------------------------------------------


def test_where_nobody_is_configured_this_machine_may_all(browser: Make) -> None:
    here = browser(WebConfig())
    assert here.get("/queues").status_code == 200
    answer = here.post("/do/queues.pause", {"queue": "low", "next": "/queues"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/queues")
    assert "low is paused" in here.get("/queues").text
    assert "low is paused" not in here.get("/queues").text, "it is told once"


def test_another_name_that_leads_here_is_refused_where_nobody_need_say_who(browser: Make) -> None:
    assert browser(WebConfig()).get("/queues", host="evil.example.com").status_code == 421
    assert browser().get("/login", host="jobs.example.com").status_code == 200


def test_who_is_not_known_is_led_to_the_log_in_and_then_on(browser: Make) -> None:
    them = browser()
    answer = them.get("/queues?x=1&y=%2F")
    assert (answer.status_code, answer.headers["location"]) == (
        303, "/login?next=%2Fqueues%3Fx%3D1%26y%3D%252F",
    )  # fmt: skip
    assert 'value="/queues?x=1&amp;y=%2F"' in them.get(answer.headers["location"]).text
    answer = them.log_in("read", next="/queues?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/queues?x=1")
    assert them.get("/queues").status_code == 200
    assert them.post("/logout").headers["location"] == "/login"
    assert them.get("/queues").status_code == 303


def test_the_sessions_cookie_is_for_this_host_alone_and_for_no_script(browser: Make) -> None:
    cookie = browser().log_in("read").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
    assert cookie.startswith("trioq-session=")
    assert "Secure" not in cookie
    assert "Domain" not in cookie
    proxied = browser(peer="10.0.0.1")
    cookie = proxied.post(
        "/login", {"name": "read", "password": "secret"}, **{"x-forwarded-proto": "https"}
    ).headers["set-cookie"]
    assert cookie.startswith("__Host-trioq-session=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} == set(cookie.split("; ")[1:])


def test_a_log_in_is_another_session_and_the_one_before_ends(browser: Make) -> None:
    them = browser()
    them.log_in("read")
    before = them.cookies["trioq-session"]
    them.log_in("operate")
    assert them.cookies["trioq-session"] != before
    them.cookies.clear()
    them.cookies["trioq-session"] = before
    assert them.get("/queues").status_code == 303


def test_a_wrong_password_is_told_and_too_many_are_slowed_down(browser: Make) -> None:
    them = browser()
    for _ in range(4):
        answer = them.log_in("read", "wrong")
        assert answer.status_code == 403
        assert "name or password are wrong" in answer.text
        assert "wrong" not in answer.headers.get("set-cookie", "")
    answer = them.log_in("read", "secret")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "on",
    ["//evil.example.com", "/\\evil.example.com", "https://evil.example.com", "javascript:alert(1)",
     "", "\t//evil.example.com", "/\t/evil.example.com", "evil"],
)  # fmt: skip
def test_nobody_is_led_on_to_another_host(browser: Make, on: str) -> None:
    assert browser().log_in("read", next=on).headers["location"] == "/"


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"authorization": "Basic cmVhZDpyZWFk"}])
def test_the_api_tells_a_program_what_it_lacks(browser: Make, headers: dict[str, str]) -> None:
    answer = browser().get("/api/v1/stats", **headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert browser().get("/api/v1/stats", **bearer("read")).status_code == 200


def test_what_is_loaded_by_the_log_in_is_open_and_nothing_else(browser: Make) -> None:
    them = browser()
    assert them.get("/static/x/site.css").status_code == 200
    for path in ("/static/../queues", "/static%2F..%2Fqueues", "/login/", "/login/../queues"):
        assert them.get(path).status_code in (303, 404), path
    assert them.get("/live/overview").status_code == 303


# -- what changes something --------------------------------------------------------------------

FOREIGN: list[dict[str, str]] = [
    {},
    {"origin": "https://evil.example.com"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"origin": HERE, "sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", ["/do/queues.pause", "/api/v1/operations/queues.pause", "/logout"])
def test_another_pages_request_changes_nothing(
    browser: Make, path: str, headers: dict[str, str]
) -> None:
    them = browser()
    them.log_in("admin")
    asked = partial(them.ask, "POST", path, headers=headers)
    answer = asked(json={"queue": "low"}) if "api" in path else asked(data={"queue": "low"})
    assert answer.status_code == 403
    stats = them.get("/api/v1/stats")
    assert stats.json()["pauses"] == []


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_page_cannot_log_anybody_in(browser: Make, headers: dict[str, str]) -> None:
    them = browser()
    form = {"name": "admin", "password": "secret"}
    assert them.ask("POST", "/login", data=form, headers=headers).status_code == 403
    assert not them.cookies


def test_where_nobody_is_configured_another_page_changes_nothing_either(browser: Make) -> None:
    here = browser(WebConfig())
    for headers in FOREIGN:
        answer = here.ask("POST", "/do/queues.pause", data={"queue": "low"}, headers=headers)
        assert answer.status_code == 403


def test_a_program_with_a_token_needs_no_origin(browser: Make) -> None:
    answer = browser().ask(
        "POST", "/api/v1/operations/queues.pause", json={"queue": "low"}, headers=bearer("operate")
    )
    assert (answer.status_code, answer.json()["changed"]) == (200, True)


@pytest.mark.parametrize("role", Role, ids=lambda role: role.name)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_takes_its_role_by_the_form_and_by_the_api(
    browser: Make, name: str, role: Role
) -> None:
    them, is_enough = browser(), role >= OPERATIONS[name].role
    by_api = them.ask(
        "POST", f"/api/v1/operations/{name}", json={"no such": 1}, headers=bearer(role.name)
    )
    assert by_api.status_code == (422 if is_enough else 403)
    by_form = them.ask(
        "POST", f"/do/{name}", data={"no such": "1"}, headers=bearer(role.name) | OURS
    )
    assert by_form.status_code == (303 if is_enough else 403)
    asked = them.ask("GET", f"/sure?do={name}", headers=bearer(role.name))
    assert asked.status_code == (200 if is_enough else 403)


def test_a_get_changes_nothing(browser: Make) -> None:
    them = browser()
    them.log_in("admin")
    for path in ("/do/queues.pause?queue=low", "/api/v1/operations/queues.pause?queue=low"):
        assert them.get(path).status_code in (404, 405)
    assert them.get("/logout").status_code in (404, 405)
    assert them.get("/api/v1/stats").json()["pauses"] == []


def test_a_body_that_is_too_large_is_not_read_to_its_end(browser: Make) -> None:
    sent, taken = list[Any](), 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 65536, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [
        (b"host", b"127.0.0.1"), (b"origin", b"http://127.0.0.1"),
        (b"content-type", b"application/x-www-form-urlencoded"),
    ]  # fmt: skip
    scope = {
        "type": "http", "method": "POST", "path": "/do/queues.pause", "headers": headers,
        "query_string": b"", "scheme": "http", "server": ("127.0.0.1", 80), "client": None,
    }  # fmt: skip
    trio.run(browser(WebConfig()).app, scope, receive, send)
    assert sent[0]["status"] == 413
    assert taken < 100


# -- what answers say --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/queues", "/login", "/nothing", "/api/v1/stats", "/api/v1/nothing", "/static/x/y"]
)
def test_every_answer_forbids_what_is_not_ours(browser: Make, path: str) -> None:
    answer = browser().get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert len(answer.headers.get_list("cache-control")) == 1


def test_no_page_has_code_or_style_within(browser: Make) -> None:
    them = browser(WebConfig())
    for path in ("/queues", "/nothing", "/sure?do=queues.purge&queue=low"):
        text = them.get(path).text
        assert not re.search("<style| style=| on[a-z]+=", text)
        assert text.count("<script") == text.count("<script src=")


def test_an_error_of_ours_tells_nothing_of_itself(
    browser: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    them = browser(WebConfig())

    def broken(*_: object) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(Desk, "ask", broken)
    for path in ("/queues", "/api/v1/stats"):
        answer = them.get(path)
        assert answer.status_code == 500
        assert "s3cret" not in answer.text
    assert "s3cret" in caplog.text


# -- in somebody else's program ----------------------------------------------------------------


@contextmanager
def mounted(config: Config, backend: str, **about: Any) -> Iterator[Browser]:
    app = asgi(config, **about)
    yield Browser(Starlette(routes=[Mount("/jobs-page", app)]), backend=backend)
    ended = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def close() -> None:
        async def receive() -> dict[str, Any]:
            return ended.pop(0)

        async def send(message: Any) -> None:
            assert "complete" in message["type"]

        await app({"type": "lifespan"}, receive, send)

    trio.run(close)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_it_mounts_below_a_path_with_the_programs_own_users(
    server: Server, tmp_path: Path, backend: str
) -> None:
    config = load(write_config(tmp_path, server))

    async def who(request: Any) -> User | None:
        name = request.headers.get("x-name")
        return User(name, Role.operate) if name else None

    with mounted(config, backend, authenticate=who) as them:
        assert them.get("/jobs-page/queues").status_code == 401
        page = them.get("/jobs-page/queues", **{"x-name": "eve"})
        assert page.status_code == 200
        assert 'href="/jobs-page/static/' in page.text
        assert 'href="/queues' not in page.text
        fields = {"queue": "low", "next": "/queues"}
        answer = them.post("/jobs-page/do/queues.pause", fields, **{"x-name": "eve"})
        assert answer.headers["location"] == "/jobs-page/queues"
        told = them.get("/jobs-page/api/v1/stats", **{"x-name": "eve"}).json()
        assert told["pauses"][0]["by"] == "eve"


def test_mounted_without_anybody_it_is_shown_to_nobody(server: Server, tmp_path: Path) -> None:
    with mounted(load(write_config(tmp_path, server)), "trio") as them:
        assert them.get("/jobs-page/queues").status_code == 401
        assert them.get("/jobs-page/api/v1/stats").status_code == 401


def test_mounted_while_redis_is_away_it_says_so_and_goes_on_later(tmp_path: Path) -> None:
    path = tmp_path / "jobqueue.toml"
    path.write_text('redis.url = "redis://127.0.0.1:1"\n')
    with mounted(load(path), "asyncio", authenticate=lambda _: User("eve", Role.read)) as them:
        assert them.get("/jobs-page/queues").status_code == 503
        assert them.get("/jobs-page/api/v1/stats").status_code == 503
