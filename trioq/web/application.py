"""The page and its API as one ASGI application: who asks, where it goes, what the answer forbids.

    asgi    from a configuration, for whoever mounts it
    make    from a desk, for whoever has one

It runs under trio and under asyncio, and below any path of somebody else's application.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote

import anyio
import anyio.to_thread
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trioq.client.opening import configured
from trioq.core.config import Config
from trioq.errors import StoreError
from trioq.store.checks import explain
from trioq.store.connect import open_store
from trioq.store.connector import Connector
from trioq.web import api
from trioq.web.desk import Desk
from trioq.web.hosts import OwnNames
from trioq.web.loops import PerLoop
from trioq.web.paths import path_of
from trioq.web.problems import Problem
from trioq.web.site import SITE
from trioq.web.who import origin
from trioq.web.who.audit import log
from trioq.web.who.guard import Authenticate, Guard, Known

LOG = logging.getLogger("trioq.web")

#: What a browser is to refuse, whatever got into a page: any code, style, picture, frame or form
#: that isn't ours.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none';"
    " base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

#: A form's fields, beside a payload that is edited.
FORM_BYTES = 65536

#: What is to be seen by who isn't known.
OPEN = ("/login", "/logout")


class Application:
    """The whole of it.

    Args:
      config: Of the namespace.
      guard: Who there is.
      desk: What gives the desk, when a request needs it.
    """

    def __init__(self, config: Config, guard: Guard, desk: Callable[[], Awaitable[Desk]]) -> None:
        self._config = config
        self._guard = guard
        self._desk = desk
        self._body_bytes = FORM_BYTES + 4 * config.max_payload_bytes
        self._router = Router([*api.routes(), *SITE.routes], redirect_slashes=False, default=_none)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        state = {**scope.get("state", {}), "config": self._config, "guard": self._guard}
        scope = {**scope, "state": state}
        has_begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        try:
            await self._answer(request, _Bounded(receive, self._body_bytes), send_guarded)
        except Exception as error:
            if has_begun:
                raise
            response = await self._refusal(request, error)
            await response(scope, receive, send_guarded)

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        scope, path = request.scope, path_of(request.scope)
        is_open = path in OPEN or path.startswith("/static/")
        known = await self._guard.who(request) if not is_open else None
        if request.method not in origin.SAFE and (known is None or known.could_be_led):
            self._check_origin(request, known)
        if known is not None:
            scope["state"]["user"] = known.user
            scope["state"]["desk"] = await self._desk()
        elif not is_open:
            await self._to_login(request)(scope, receive, send)
            return
        await self._router(scope, receive, send)

    def _check_origin(self, request: Request, known: Known | None) -> None:
        if not origin.is_ours(request.headers):
            user = known.user.name if known else ""
            log("origin_refused", user=user, place=self._guard.place(request))
            raise Problem(
                403,
                "Not from this page",
                "a request that changes something has to come from one of these pages (its Origin"
                " and Sec-Fetch-Site tell), or to name its token",
            )

    def _to_login(self, request: Request) -> Response:
        path = path_of(request.scope)
        if not self._guard.has_login or _is_api(request):
            raise Problem(
                401,
                "Who asks?",
                "expected the header Authorization: Bearer, and a token of [web.tokens]"
                if self._config.web.tokens
                else "nobody that is known here asks for this page",
                headers={"www-authenticate": 'Bearer realm="trioq"'},
            )
        if request.method not in ("GET", "HEAD"):
            raise Problem(401, "Not logged in", "log in, and try again")
        wanted = path + (f"?{request.url.query}" if request.url.query else "")
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}/login?next={quote(wanted, safe='')}", status_code=303)

    async def _refusal(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            error = Problem(error.status_code, error.detail, headers=dict(error.headers or {}))
        if isinstance(error, StoreError):
            error = Problem(503, "Redis can't be reached", str(error))
        if not isinstance(error, Problem):
            LOG.error("a page failed: %s", path_of(request.scope)[:200], exc_info=error)
            error = Problem(500, "Something is wrong here", "the log tells more")
        return api.refusal(error) if _is_api(request) else SITE.problem(request, error)


def make(desk: Desk, guard: Guard | None = None) -> ASGIApp:
    """The application for a desk that is open, on a server of our own.

    On a loopback address it answers to this machine's own names alone, where nobody has to say
    who they are.
    """

    async def at_hand() -> Desk:
        return desk

    config = desk.config
    guard = guard or Guard(config.web)
    app = Application(config, guard, at_hand)
    return app if config.web.knows_somebody else OwnNames(app)


def asgi(
    config: Config | str | Path | None = None, *, authenticate: Authenticate | None = None
) -> ASGIApp:
    """The page and its API, to be mounted into an ASGI application, under trio or asyncio.

    Nothing is connected before the first request. It is closed by the lifespan's end, where the
    server tells that to what is mounted; else with the process.

    Args:
      config: A configuration, or its file. Default: as the command line finds it.
      authenticate: Told of each request (a :class:`starlette.requests.HTTPConnection`), returns
          the :class:`~trioq.web.who.User`, or None for somebody who may not look; may be async.
          Without it, ``[web]`` of the configuration says who there is; if it says nothing,
          everybody who reaches the application is refused.

    Raises:
      ConfigError: The configuration is wrong.
    """
    made, _ = configured(config, None, None)
    if authenticate is None and not made.web.knows_somebody:
        authenticate = _nobody
    return _Mounted(made, Guard(made.web, authenticate))


def _nobody(request: object) -> None:
    """Who mounts a page and says nothing of its users shows it to none."""


class _Mounted:
    """Opens the way to Redis with the first request."""

    def __init__(self, config: Config, guard: Guard) -> None:
        self._config = config
        self._opened: AbstractContextManager[Connector] | None = None
        self._desk: Desk | None = None
        self._lock = PerLoop(anyio.Lock)
        self._app = Application(config, guard, self._at_desk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _at_desk(self) -> Desk:
        if self._desk is None:
            async with self._lock.here:
                if self._desk is None:
                    self._desk = await anyio.to_thread.run_sync(self._open)
        return self._desk

    def _open(self) -> Desk:
        opened = open_store(self._config, read_only=True)
        try:
            connector = opened.__enter__()
        except StoreError as error:
            told = explain(error, self._config.redis.url)
            raise Problem(503, "Redis can't be reached", told) from error
        self._opened = opened
        return Desk(self._config, connector)

    async def _close(self) -> None:
        if self._opened is not None:
            opened, self._opened, self._desk = self._opened, None, None
            await anyio.to_thread.run_sync(opened.__exit__, None, None, None)


class _Bounded:
    """What comes in, no more than so many bytes of it.

    Raises:
      Problem: There are more (413).
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = most

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise Problem(413, "Too much", "the body of the request is too large")
        return message


def _is_api(request: Request) -> bool:
    path = path_of(request.scope)
    return path == "/api" or path.startswith("/api/")


async def _none(scope: Scope, receive: Receive, send: Send) -> None:
    raise Problem(404, "Nothing here", f"there is no page {path_of(scope)[:200]}")
