"""The clients that handlers have of their engine: ``job.client`` and ``job.sync_client``.

There is one of each kind in an engine, and in each runner, made when the first handler asks for it,
and closed with its engine. They share what leads to the server; jobs share them, and so a job
costs no connection.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

from trioq.client.elsewhere import led
from trioq.core.clients_here import OfAsyncio, engine_clients
from trioq.core.config import Config
from trioq.engine.handlers.returned import BadHandler
from trioq.errors import StoreClosed

if TYPE_CHECKING:
    # Most handlers ask for none, and a runner is to be there soon.
    from trioq.client.client import Client
    from trioq.client.elsewhere import Elsewhere
    from trioq.client.jobs import Drafts
    from trioq.client.sync import SyncClient
    from trioq.engine.handlers import Function
    from trioq.observe.tracing import Tracing
    from trioq.store.connector import Connector

    Leads = Connector | Elsewhere

C = TypeVar("C")

IN_A_THREAD = (
    "job.client is for async def handlers, and this is a thread, of a def handler say:"
    " job.sync_client is the client there"
)
IN_A_LOOP = (
    "job.sync_client would block the loop here, and all handlers in it: in an async def handler it"
    " is await job.client.enqueue(…)"
)
OWN_LOOP = (
    "job.client belongs to the loops in which an engine runs its handlers, and this is another one,"
    " which the handler has started: async with trioq.connect(…), or trioq.aio.connect(…), opens"
    " a client in it"
)


class EngineClients:
    """One engine's, or a runner's.

    Args:
      config: Theirs; asked for when the first client is made.
      handlers: Of the app that runs here, which therefore nobody has to import.
      elsewhere: Where they lead, if not where the configuration says.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        handlers: Mapping[str, Function],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._config = config
        self._handlers = handlers
        self._making = threading.Lock()
        self._is_closed = False
        self._connector: Connector | None = None
        self._made: dict[Callable[..., object], object] = {}
        self._trio: trio.lowlevel.TrioToken | None = None
        self._asyncio: OfAsyncio = lambda: None

    @contextmanager
    def there(self, asyncio_loop: OfAsyncio) -> Iterator[None]:
        """See :class:`~trioq.core.clients_here.Clients`."""
        self._trio, self._asyncio = trio.lowlevel.current_trio_token(), asyncio_loop
        before = engine_clients.set(self)
        try:
            yield
        finally:
            engine_clients.reset(before)
            self._close()

    @property
    def client(self) -> Client:
        """For the loop that runs here.

        Raises:
          BadHandler: None does, or none of the engine's.
          StoreClosed: The engine has ended.
        """
        if trio.lowlevel.in_trio_task():
            if trio.lowlevel.current_trio_token() is not self._trio:
                raise BadHandler(OWN_LOOP)
            return self._the(_in_trio)
        loop = _asyncio_here()
        if loop is None:
            raise BadHandler(IN_A_THREAD)
        if loop is not self._asyncio():
            raise BadHandler(OWN_LOOP)
        return self._the(_in_asyncio)

    @property
    def sync_client(self) -> SyncClient:
        """For a thread.

        Raises:
          BadHandler: This is a loop's.
          StoreClosed: The engine has ended.
        """
        if trio.lowlevel.in_trio_task() or _asyncio_here() is not None:
            raise BadHandler(IN_A_LOOP)
        return self._the(_in_ordinary_code)

    def _the(self, make: Callable[[Leads, Drafts, Tracing], C]) -> C:
        """The one that this makes."""
        with self._making:
            if self._is_closed:
                raise StoreClosed("the engine has ended, and its clients are closed with it")
            if make not in self._made:
                self._made[make] = make(*self._parts())
            made: C = self._made[make]  # type: ignore[assignment]
        return made

    def _parts(self) -> tuple[Leads, Drafts, Tracing]:
        from trioq.client.jobs import Drafts
        from trioq.observe.tracing import Tracing
        from trioq.store.connector import open_later

        config, elsewhere = self._config(), self._elsewhere or led()
        if elsewhere is None and self._connector is None:
            self._connector = open_later(config)
        drafts = Drafts(config, knows_queues=True)
        drafts.handler_queues.know(self._handlers)
        leads = elsewhere or self._connector
        assert leads is not None
        return leads, drafts, Tracing.open(config)

    def _close(self) -> None:
        with self._making:
            self._is_closed = True
            connector, self._connector = self._connector, None
        if connector is not None:
            connector.close()


def _in_trio(leads: Leads, drafts: Drafts, tracing: Tracing) -> Client:
    from trioq.client.for_handlers import HandlersClient
    from trioq.client.task_runtime import TaskRuntime
    from trioq.store.connector import Connector

    runtime = TaskRuntime(leads) if isinstance(leads, Connector) else leads.runtime()
    return HandlersClient(runtime, drafts, tracing)


def _in_asyncio(leads: Leads, drafts: Drafts, tracing: Tracing) -> Client:
    from trioq.client.for_handlers import HandlersClient
    from trioq.client.loop_runtime import LoopRuntime
    from trioq.store.connector import Connector

    runtime = LoopRuntime(leads) if isinstance(leads, Connector) else leads.runtime()
    return HandlersClient(runtime, drafts, tracing)


def _in_ordinary_code(leads: Leads, drafts: Drafts, tracing: Tracing) -> SyncClient:
    from trioq.client.for_handlers import HandlersSyncClient
    from trioq.store.connector import Connector

    way = leads if isinstance(leads, Connector) else leads.way()
    return HandlersSyncClient(way, drafts, tracing)


def _asyncio_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
