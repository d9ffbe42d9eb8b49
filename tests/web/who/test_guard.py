"""Who makes a request, by each of the ways, and by none."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from starlette.requests import HTTPConnection

from trioq.core.config import Secret, WebConfig, WebTokenConfig, WebUserConfig
from trioq.errors import ConfigError
from trioq.web.problems import Problem
from trioq.web.who.attempts import FREE, Attempts
from trioq.web.who.guard import LOCAL, Guard, Known, check_bind
from trioq.web.who.passwords import hash_password
from trioq.web.who.roles import Role, User
from trioq.web.who.tokens import hash_token

KEPT = Secret(hash_password("secret"))
WEB = WebConfig(
    users={
        "ada": WebUserConfig(name="ada", role="admin", password=KEPT),
        "bob": WebUserConfig(name="bob", role="read"),
    },
    tokens={"ci": WebTokenConfig(name="ci", sha256=hash_token("t"), role="operate")},
    proxies=("10.0.0.0/8", "::1"),
    proxy_header="X-User",
)


def request(*headers: tuple[str, str], peer: str | None = "192.0.2.1", scheme: str = "http") -> Any:
    sent = [(name.lower().encode(), value.encode()) for name, value in headers]
    client = (peer, 5000) if peer is not None else None
    return HTTPConnection(
        {"type": "http", "headers": sent, "client": client, "scheme": scheme, "path": "/",
         "server": ("127.0.0.1", 80), "query_string": b""}
    )  # fmt: skip


def who(guard: Guard, *headers: tuple[str, str], **about: Any) -> Known | None:
    return trio.run(guard.who, request(*headers, **about))


def log_in(guard: Guard, name: str, password: str, place: str = "p") -> str:
    return trio.run(guard.log_in, place, name, password)


def refused(guard: Guard, name: str, password: str, place: str = "p") -> Problem:
    with pytest.raises(Problem) as caught:
        log_in(guard, name, password, place)
    return caught.value


# -- nobody is configured ----------------------------------------------------------------------


def test_where_nobody_is_configured_whoever_is_here_may_all() -> None:
    assert who(Guard(WebConfig())) == Known(LOCAL, "local")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "no-such-host.invalid"])
def test_other_machines_are_served_only_where_somebody_is(host: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.bind"):
        check_bind(WebConfig(), host)
    check_bind(WEB, host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_address_is_this_machines(host: str) -> None:
    check_bind(WebConfig(), host)


def test_proxies_without_a_header_are_nobody() -> None:
    with pytest.raises(ConfigError):
        check_bind(WebConfig(proxies=("10.0.0.1",)), "0.0.0.0")


# -- tokens ------------------------------------------------------------------------------------


def test_a_token_is_its_programs() -> None:
    found = who(Guard(WEB), ("Authorization", "Bearer t"))
    assert found == Known(User("ci", Role.operate), "bearer")
    assert not found.could_be_led


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer u")],
        [("Authorization", "Bearer")],
        [("Authorization", "Basic dDp0")],
        [("Authorization", f"Bearer {hash_token('t')}")],
        [("Authorization", "")],
        [("Authorization", "Bearer t"), ("Authorization", "Bearer t")],
        [("Authorization", "Bearer u"), ("X-User", "ada")],
    ],
    ids=str,
)
def test_a_wrong_token_is_refused_whatever_else_is_said(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(Problem) as caught:
        who(Guard(WEB), *headers, peer="10.0.0.1")
    assert caught.value.status == 401
    assert "www-authenticate" in caught.value.headers


# -- sessions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cookie", ["trioq-session", "__Host-trioq-session"])
def test_who_has_logged_in_is_known_by_the_cookie(cookie: str) -> None:
    guard = Guard(WEB)
    found = who(guard, ("Cookie", f"{cookie}={log_in(guard, 'ada', 'secret')}"))
    assert found == Known(User("ada", Role.admin), "session")
    assert found.could_be_led


def test_each_log_in_is_another_session_and_one_is_ended_here() -> None:
    guard = Guard(WEB)
    first, second = log_in(guard, "ada", "secret"), log_in(guard, "ada", "secret")
    assert first != second
    guard.log_out(request(("Cookie", f"trioq-session={first}")))
    assert who(guard, ("Cookie", f"trioq-session={first}")) is None
    assert who(guard, ("Cookie", f"trioq-session={second}")) is not None


@pytest.mark.parametrize("cookie", ["", "x", "ada", "é"])
def test_a_forged_session_is_nobodys(cookie: str) -> None:
    assert who(Guard(WEB), ("Cookie", f"trioq-session={cookie}")) is None


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"),
        ("ada", ""),
        ("bob", ""),
        ("bob", "secret"),
        ("nobody", "secret"),
        ("ada", "x" * 100_000),
        ("x" * 100_000, "secret"),
        ("\ud800", "\ud800"),
    ],
)
def test_nobody_is_told_whether_the_name_or_the_password_was_wrong(
    name: str, password: str
) -> None:
    problem = refused(Guard(WEB), name, password)
    assert (problem.status, problem.detail) == (403, "name or password are wrong")


def test_too_many_attempts_are_refused_before_the_password_is_looked_at() -> None:
    guard = Guard(WEB, attempts=Attempts(lambda: 0.0))
    for _ in range(FREE):
        assert refused(guard, "ada", "wrong").status == 403
    problem = refused(guard, "ada", "secret")
    assert (problem.status, problem.headers) == (429, {"retry-after": "1"})


def test_many_attempts_at_once_do_not_slip_through() -> None:
    guard = Guard(WEB, attempts=Attempts(lambda: 0.0))
    statuses = list[int]()

    async def attempt() -> None:
        try:
            await guard.log_in("p", "ada", "wrong")
        except Problem as problem:
            statuses.append(problem.status)

    async def all_at_once() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(attempt)

    trio.run(all_at_once)
    assert statuses.count(403) == FREE


# -- proxies -----------------------------------------------------------------------------------


def test_a_proxy_says_who_it_is() -> None:
    found = who(Guard(WEB), ("X-User", "bob"), peer="10.0.0.1")
    assert found == Known(User("bob", Role.read), "proxy")
    assert who(Guard(WEB), ("X-User", "bob"), peer="::ffff:10.0.0.1") == found
    assert who(Guard(WEB), ("X-User", "bob"), peer="::1") == found


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ([("X-User", "bob")], "192.0.2.1"),
        ([("X-User", "bob")], None),
        ([("X-User", "bob"), ("X-Forwarded-For", "10.0.0.1")], "192.0.2.1"),
        ([("X-User", "bob"), ("X-User", "ada")], "10.0.0.1"),
        ([("X-User", "")], "10.0.0.1"),
        ([("X-User", "x" * 201)], "10.0.0.1"),
        ([("X-User", "unknown")], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
    ids=str,
)
def test_what_a_stranger_says_or_what_is_said_twice_is_nobody(
    headers: list[tuple[str, str]], peer: str | None
) -> None:
    assert who(Guard(WEB), *headers, peer=peer) is None


def test_where_a_request_comes_from_is_what_our_own_proxies_say() -> None:
    guard = Guard(WEB)

    def place(peer: str, *said: str) -> str:
        return guard.place(request(*(("X-Forwarded-For", each) for each in said), peer=peer))

    assert place("192.0.2.1", "10.9.9.9") == "192.0.2.1"
    assert place("10.0.0.1", "198.51.100.7") == "198.51.100.7"
    assert place("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.2") == "198.51.100.7"
    assert place("10.0.0.1", "1.1.1.1", "198.51.100.7") == "198.51.100.7"
    assert place("10.0.0.1") == "10.0.0.1"


def test_that_the_browser_came_by_tls_is_believed_of_proxies_alone() -> None:
    guard, said = Guard(WEB), ("X-Forwarded-Proto", "https")
    assert guard.is_secure(request(scheme="https"))
    assert guard.is_secure(request(said, peer="10.0.0.1"))
    assert not guard.is_secure(request(said))
    assert not guard.is_secure(request(peer="10.0.0.1"))


# -- a program's own way -----------------------------------------------------------------------


def test_a_programs_own_way_is_the_only_one() -> None:
    async def asked(request: HTTPConnection) -> User | None:
        return User("eve", Role.read) if request.headers.get("x-eve") else None

    guard = Guard(WEB, asked)
    assert who(guard, ("X-Eve", "1")) == Known(User("eve", Role.read), "program")
    assert who(guard, ("Authorization", "Bearer t")) is None
    assert who(guard, ("X-User", "ada"), peer="10.0.0.1") is None
    assert not guard.has_login
    plain = Guard(WEB, lambda request: User("eve", Role.admin))
    assert trio.run(partial(plain.who, request())) == Known(User("eve", Role.admin), "program")
