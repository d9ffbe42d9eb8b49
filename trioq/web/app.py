"""``/metrics``, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from collections.abc import Callable

import trio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from trioq.web.hosts import OwnNames
from trioq.web.pages import Pages

INDEX = """\
trioq

/metrics   for Prometheus
/healthz   200 while the process runs
/readyz    200 while jobs would run, else 503; either way it says why
"""


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """How the metrics are written for whoever accepts this; if that isn't clear, as text."""
    try:
        return choose_encoder(accept)
    except Exception:  # a version or a weight that is no number
        return choose_encoder("")


def make_app(pages: Pages) -> ASGIApp:
    """``/metrics`` and the like. They read and change nothing."""
    # Rendering takes tens of milliseconds where there are many series: not in the loop, and
    # not several at a time, however many ask.
    rendering = trio.CapacityLimiter(1)

    async def index(request: Request) -> Response:
        return PlainTextResponse(INDEX)

    async def metrics(request: Request) -> Response:
        render, content_type = _encoder(request.headers.get("accept", ""))
        text = await trio.to_thread.run_sync(
            render, await pages.registry(), limiter=rendering, abandon_on_cancel=True
        )
        return Response(text, headers={"content-type": content_type})

    async def healthz(request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(request: Request) -> Response:
        ready, told = await pages.readiness()
        return JSONResponse(told, status_code=200 if ready else 503)

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )
    # It would lead to wherever the request says that it is.
    app.router.redirect_slashes = False
    return OwnNames(app)
