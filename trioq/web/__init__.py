"""What an engine serves over HTTP: its metrics and its health.

    ports    which port; several engines on one machine share a configuration
    health   whether the engine is ready, and why not
    app      the pages
    server   hypercorn in the nursery, and clients kept in their place

The libraries for it are imported when a port is taken: so that who serves nothing has no
costs, and the loop isn't held up later.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import trio
from prometheus_client import CollectorRegistry

from trioq.engine.status import Status
from trioq.web import ports
from trioq.web.ports import Bound, PortError

__all__ = ["Bound", "PortError", "bind", "serve"]


def bind(host: str, port: int) -> Bound:
    """Take a port; see :func:`trioq.web.ports.bind`."""
    import_module("trioq.web.app")
    import_module("trioq.web.server")
    return ports.bind(host, port)


async def serve(
    bound: Bound,
    registry: CollectorRegistry,
    status: Callable[[], Status | None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on a port that was taken, until cancelled, and give it up.

    Cancellation: open connections are closed at once.
    """
    from trioq.web.app import make_app
    from trioq.web.server import serve as serve_app

    try:
        bound.listener.setblocking(False)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound.listener))
        await serve_app(make_app(registry, status), listener, task_status=task_status)
    finally:
        bound.close()
