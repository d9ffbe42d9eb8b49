"""Who makes a request, by whichever way the configuration allows."""

from __future__ import annotations

import hashlib
import inspect
import math
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Literal

import anyio
import anyio.to_thread
import attrs
from starlette.requests import HTTPConnection

from trioq.core.config import WebConfig
from trioq.errors import ConfigError
from trioq.web.loops import PerLoop
from trioq.web.problems import Problem
from trioq.web.who.attempts import Attempts
from trioq.web.who.audit import log
from trioq.web.who.passwords import NOBODYS, is_password
from trioq.web.who.roles import Role, User
from trioq.web.who.sessions import Sessions
from trioq.web.who.tokens import whose

#: What a program that mounts the page tells of a request: who makes it; None: nobody it knows.
Authenticate = Callable[[HTTPConnection], "User | Awaitable[User | None] | None"]

#: The name of the session's cookie, and the same where the browser came by TLS: then no other
#: host, and no page without TLS, can have set it.
COOKIE, SECURE_COOKIE = "trioq-session", "__Host-trioq-session"

#: Characters of a password; nobody types more.
LONGEST = 1024

#: Where nobody is configured, whoever reaches a loopback address is on this machine.
LOCAL = User("local", Role.admin)

Way = Literal["bearer", "session", "proxy", "program", "local"]


@attrs.frozen
class Known:
    """Somebody, and how they are known."""

    user: User
    way: Way

    @property
    def could_be_led(self) -> bool:
        """Whether somebody else's page could have the browser ask in their name."""
        return self.way != "bearer"


def check_bind(config: WebConfig, host: str) -> None:
    """Look whether a page may be shown there.

    Args:
      host: An address or a name of this machine.

    Raises:
      ConfigError: Others could reach it, and nobody has to say who they are.
    """
    if not config.knows_somebody and not is_loopback(host):
        raise ConfigError(
            [
                f"web.bind: other machines can reach {host}, and nobody would have to say who they"
                " are: configure [web.users], [web.tokens], or web.proxies with web.proxy_header;"
                " or bind to 127.0.0.1"
            ]
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach this address."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ip_address(str(each[4][0]).partition("%")[0]).is_loopback for each in found)


class Guard:
    """Knows who asks.

    Args:
      config: Who there is.
      authenticate: A program's own way; then no other counts.
      sessions, attempts: Of those who log in.
    """

    def __init__(
        self,
        config: WebConfig,
        authenticate: Authenticate | None = None,
        *,
        sessions: Sessions | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        self.config = config
        self.sessions = sessions or Sessions(config.session_s)
        self.attempts = attempts or Attempts()
        self._authenticate = authenticate
        # Each takes 64 MB and a core.
        self._checking = PerLoop(lambda: anyio.CapacityLimiter(2))

    @property
    def has_login(self) -> bool:
        """Whether anybody could log in with a password."""
        users = self.config.users.values()
        return self._authenticate is None and any(each.password for each in users)

    async def who(self, request: HTTPConnection) -> Known | None:
        """Who asks; None: nobody that is known.

        Raises:
          Problem: 401: a token is wrong.
        """
        if self._authenticate is not None:
            told = self._authenticate(request)
            user = await told if inspect.isawaitable(told) else told
            return None if user is None else Known(user, "program")
        if not self.config.knows_somebody:
            return Known(LOCAL, "local")
        if "authorization" in request.headers:
            return self._by_token(request)
        return self._by_session(request) or self._by_proxy(request)

    async def log_in(self, place: str, name: str, password: str) -> str:
        """Begin a session.

        Args:
          place: From where it is tried.

        Returns:
          What the cookie holds.

        Raises:
          Problem: 403: name or password are wrong; 429: there were too many attempts.
        """
        user = self.config.users.get(name)
        known = user.name if user else ""  # what isn't a name may be somebody's password
        name = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
        if (wait_s := self.attempts.wait_s(place, name)) > 0:
            log("login_slowed", user=known, place=place)
            seconds = math.ceil(wait_s)
            raise Problem(
                429,
                "Too many attempts",
                f"try again in {seconds} s",
                headers={"retry-after": str(seconds)},
            )
        self.attempts.begin(place, name)
        kept = user.password.reveal() if user and user.password else self._anybodys
        is_right = len(password) <= LONGEST and await anyio.to_thread.run_sync(
            is_password, password, kept, limiter=self._checking.here
        )
        if not is_right or user is None or not user.password:
            log("login_refused", user=known, place=place)
            raise Problem(403, "Not logged in", "name or password are wrong")
        self.attempts.was_right(place, name)
        log("logged_in", user=known, place=place)
        return self.sessions.begin(user.name)

    def log_out(self, request: HTTPConnection) -> None:
        """End the session that the request has, if it has one."""
        if (token := session_of(request)) is not None:
            self.sessions.end(token)

    def is_secure(self, request: HTTPConnection) -> bool:
        """Whether the browser came by TLS, as far as can be known."""
        if request.url.scheme == "https":
            return True
        told = request.headers.getlist("x-forwarded-proto")
        return told == ["https"] and self.config.is_proxy(peer(request))

    def place(self, request: HTTPConnection) -> str:
        """Where the request comes from, for attempts and the log: the last address that isn't one
        of the proxies."""
        place = peer(request)
        hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        for hop in reversed(hops[-10:]):
            if not self.config.is_proxy(place) or not hop.strip():
                break
            place = hop.strip()[:64]
        return place

    # -- below -------------------------------------------------------------------------------

    @property
    def _anybodys(self) -> str:
        """Compared with where nobody has the name: so it takes as long to be told so."""
        passwords = (each.password for each in self.config.users.values() if each.password)
        return next((password.reveal() for password in passwords), NOBODYS)

    def _by_token(self, request: HTTPConnection) -> Known:
        given = request.headers.getlist("authorization")
        scheme, _, token = given[0].partition(" ")
        if len(given) == 1 and scheme.lower() == "bearer":
            found = whose(token.strip(), self.config.tokens.values())
            if found is not None:
                return Known(User(found.name, Role[found.role]), "bearer")
        log("token_refused", place=self.place(request))
        raise Problem(
            401,
            "Not a known token",
            "expected the header Authorization: Bearer, and a token of [web.tokens]",
            headers={"www-authenticate": 'Bearer realm="trioq", error="invalid_token"'},
        )

    def _by_session(self, request: HTTPConnection) -> Known | None:
        token = session_of(request)
        name = self.sessions.name_of(token) if token else None
        user = self.config.users.get(name) if name else None
        return Known(User(user.name, Role[user.role]), "session") if user else None

    def _by_proxy(self, request: HTTPConnection) -> Known | None:
        config = self.config
        if not config.proxy_header or not config.is_proxy(peer(request)):
            return None
        told = request.headers.getlist(config.proxy_header)
        if len(told) != 1 or not (name := told[0].strip()) or len(name) > 200:
            return None  # two of them: somebody else has said one
        if user := config.users.get(name):
            return Known(User(name, Role[user.role]), "proxy")
        if config.proxy_role == "none":
            return None
        return Known(User(name, Role[config.proxy_role]), "proxy")


def peer(request: HTTPConnection) -> str:
    """The address at the other end of the connection."""
    return request.client.host if request.client else ""


def session_of(request: HTTPConnection) -> str | None:
    """What the request's cookie holds. One that only TLS can have set counts before another."""
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE)
