"""Who may be asked for under which name.

A page of somebody else's can have its name lead to this machine and then read, in a browser that
runs here, what only this machine may see. Such a request comes to a loopback address, under a
name that isn't this machine's.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REFUSED = "asked under another machine's name: ask for 127.0.0.1 or localhost\n"


class OwnNames:
    """Pages that a loopback address shows under this machine's own names alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            here = str((scope.get("server") or ("::",))[0])
            host = Headers(scope=scope).get("host", "")
            is_strangers = ip_address(here).is_loopback and not is_own(host)
            if is_strangers:
                app = PlainTextResponse(REFUSED, status_code=421)
        await app(scope, receive, send)


def is_own(host: str) -> bool:
    """Whether a ``Host`` header, with or without a port, can't be a stranger's name.

    Strangers own names with a dot in them.
    """
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    name = name.rstrip(".").lower()
    if "." not in name or name.endswith(".localhost") or name == socket.gethostname().lower():
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
