"""What is served over HTTP: an engine's metrics and health, and the page with its API.

    application   the page and the API together, for a server of ours or as a part of somebody's
    site, api     the two
    operations    what can be done, by either
    who           who asks, and what they may do
    desk          where they ask: operators of a namespace, in threads
    problems      why something isn't answered

    ports    which port; several engines on one machine share a configuration
    health   whether the engine is ready, and why not
    pages    what is told
    app      how it is told over HTTP
    server   hypercorn in the nursery, and clients kept in their place

The libraries for it, a twentieth of an engine's memory, are imported when somebody first asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import trio
from prometheus_client import CollectorRegistry

from trioq.errors import NotInstalled
from trioq.web.health import readiness
from trioq.web.pages import Pages
from trioq.web.ports import Bound, PortError, bind

if TYPE_CHECKING:  # a supervisor needs no engine, and nothing of Redis
    from trioq.engine.status import Status

__all__ = [
    "Bound",
    "PortError",
    "asgi",
    "bind",
    "check_installed",
    "check_page_installed",
    "serve",
    "serve_pages",
]


def __getattr__(name: str) -> Any:
    if name == "asgi":  # what it takes is imported with it
        from trioq.web.application import asgi

        return asgi
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def check_installed() -> None:
    """Look for what serves metrics, and import nothing yet.

    Raises:
      NotInstalled: It isn't there.
    """
    _check(
        ("starlette", "hypercorn"), "observability.bind: to serve metrics and health takes",
        ', or bind = ""',
    )  # fmt: skip


def check_page_installed() -> None:
    """Look for what shows the page; the same."""
    _check(("starlette", "hypercorn", "jinja2", "anyio"), "to show the page takes")


def _check(modules: Sequence[str], what: str, otherwise: str = "") -> None:
    for module in modules:
        if find_spec(module) is None:
            raise NotInstalled(
                f"{what} {module}, which isn't installed: pip install 'trioq[web]'{otherwise}",
                name=module,
            )


async def serve(
    bound: Bound,
    registry: CollectorRegistry,
    status: Callable[[], Status | None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve what one engine tells; see :func:`serve_pages`."""

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
    try:
        bound.listener.setblocking(False)
        task_status.started()
        await trio.lowlevel.wait_readable(bound.listener)
        # In a thread, since jobs run meanwhile; one that handlers can't have taken.
        one = trio.CapacityLimiter(1)
        make_app, serve_app = await trio.to_thread.run_sync(_imported, limiter=one)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound.listener))
        await serve_app(make_app(pages), listener)
    finally:
        bound.close()


def _imported() -> tuple[Callable[..., Any], Callable[..., Awaitable[None]]]:
    from trioq.web.app import make_app
    from trioq.web.server import serve as serve_app

    return make_app, serve_app
