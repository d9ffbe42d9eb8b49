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
from typing import TYPE_CHECKING, Any

import trio
from prometheus_client import CollectorRegistry

from trioq.web import ports
from trioq.web.health import readiness
from trioq.web.ports import Bound, PortError

if TYPE_CHECKING:  # a supervisor needs no engine, and nothing of Redis
    from trioq.engine.status import Status
    from trioq.web.app import Pages

__all__ = ["Bound", "PortError", "bind", "serve", "serve_pages"]


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
    """Serve what one engine tells; see :func:`serve_pages`."""
    from trioq.web.app import Pages

    async def its_registry() -> CollectorRegistry:
        return registry

    async def its_readiness() -> tuple[bool, dict[str, Any]]:
        return readiness(status())

    await serve_pages(bound, Pages(its_registry, its_readiness), task_status=task_status)


async def serve_pages(
    bound: Bound,
    pages: Pages,
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
        await serve_app(make_app(pages), listener, task_status=task_status)
    finally:
        bound.close()
