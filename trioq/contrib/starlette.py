"""Clients in FastAPI and Starlette, for as long as the application runs.

api = FastAPI(lifespan=lifespan("jobqueue.toml"))
Jobs = Annotated[trioq.Client, Depends(client_of)]  # what an endpoint asks for
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import trioq.aio
from trioq.client.elsewhere import led

try:
    from starlette.requests import HTTPConnection
    from starlette.types import Lifespan
except ModuleNotFoundError as error:
    told = "trioq.contrib.starlette needs FastAPI or Starlette: pip install 'trioq[fastapi]'"
    raise ModuleNotFoundError(told, name=error.name) from error


def lifespan(
    config: trioq.Config | str | Path | None = None,
    own: Lifespan[Any] | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
    patience: float | timedelta | None = None,
    engine: trioq.App | None = None,
) -> Lifespan[Any]:
    """A lifespan with clients, which connect once a request needs it: Redis may be away.

    Args:
      config, url, namespace, patience: As of :func:`trioq.aio.connect`.
      own: The application's own, which is entered with ``app.state.trioq`` there.
      engine: Run an engine of this app beside it, which starts first (so Redis has to be there).
    """
    if callable(config):
        raise TypeError('lifespan=lifespan("jobqueue.toml"): it is called, and gives the lifespan')
    if engine is not None and not isinstance(engine, trioq.App):
        raise TypeError(f"engine= takes the trioq.App of the handlers; got {engine!r}")
    if own is not None and (not callable(own) or inspect.isasyncgenfunction(own)):
        raise TypeError(
            f"own is what @asynccontextmanager makes; got {own!r}. An engine is engine=app"
        )
    where: Any = {"url": url, "namespace": namespace, "patience": patience}

    @asynccontextmanager
    async def opened(app: Any) -> AsyncIterator[Any]:
        in_trio = "trio" in sys.modules and sys.modules["trio"].lowlevel.in_trio_task()
        connect: Any = trioq.connect if in_trio else trioq.aio.connect
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(connect(config, **where))
            in_threads = stack.enter_context(closing(trioq.connect_sync(config, **where)))
            stack.enter_context(_said(app.state, trioq=client, trioq_sync=in_threads))
            state = None if own is None else await stack.enter_async_context(own(app))
            if engine is not None:
                await stack.enter_async_context(_running(engine, config))
            yield state

    return opened


@contextmanager
def _said(state: Any, **clients: object) -> Iterator[None]:
    """Have them there, and what was there before once they are closed."""
    before = {name: getattr(state, name) for name in clients if hasattr(state, name)}
    for name, client in clients.items():
        setattr(state, name, client)
    try:
        yield
    finally:
        for name, client in clients.items():
            if getattr(state, name, None) is client:  # else it was started again
                setattr(state, name, before[name]) if name in before else delattr(state, name)


async def client_of(connection: HTTPConnection) -> trioq.Client:
    """The client, for a request or WebSocket: ``Depends(client_of)`` in FastAPI."""
    return cast(trioq.Client, _of(connection, "trioq"))


async def sync_client_of(connection: HTTPConnection) -> trioq.SyncClient:
    """The one for ``def`` endpoints, which run in threads."""
    return cast(trioq.SyncClient, _of(connection, "trioq_sync"))


def _of(connection: HTTPConnection, name: str) -> object:
    if not hasattr(connection.app.state, name):
        raise RuntimeError(
            "no client of trioq in app.state: lifespan=lifespan(…) puts it there when a server, or"
            " `with TestClient(app)`, starts the app; a mounted one needs inner.state = outer.state"
        )
    return getattr(connection.app.state, name)


@asynccontextmanager
async def _running(app: trioq.App, config: Any) -> AsyncIterator[None]:
    if led() is not None:  # a test says itself when jobs run
        yield
        return
    started, drain = asyncio.Event(), asyncio.Event()
    running = trioq.aio.run_engine(app, config, started=started, drain=drain)
    engine, stands = asyncio.create_task(running), asyncio.create_task(started.wait())
    try:
        await asyncio.wait([engine, stands], return_when=asyncio.FIRST_COMPLETED)
        if not engine.done():
            engine.add_done_callback(_tell)
            yield
    finally:
        drain.set()
        stands.cancel()
        await engine  # where it couldn't start, this says why


def _tell(engine: asyncio.Task[None]) -> None:
    if not engine.cancelled() and (error := engine.exception()):
        logging.getLogger("trioq").critical("the engine has failed: no job runs", exc_info=error)
