"""Serves HTTP inside the nursery, with hypercorn, so that no client can hurt the engine.

hypercorn shields what it sends from being cancelled, so that a client which reads nothing
would hold up the end of the process. So sending has a deadline, the number of connections has a
bound, and a connection is ended by closing its socket and cancelling its task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app

#: What a client gets for sending a request, and for taking a piece of the answer.
PATIENCE_S = 5.0

#: Beyond so many connections the oldest is closed: descriptors belong to Redis and the handlers.
CONNECTIONS = 64

#: There is nothing to send us but a request line and a few headers.
HEAD_BYTES = 8192

#: A client that makes connections fail is told of this often at most.
TELL_S = 30.0

LOG = logging.getLogger("trioq.web")


async def serve(
    app: Any,
    listener: trio.SocketListener,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled.

    Cancellation: open connections are closed at once; answers under way are cut off.
    """
    config = _config()
    handle = partial(
        TCPServer,
        wrap_app(cast(ASGIFramework, app), 0, "asgi"),
        config,
        WorkerContext(None),
        ConnectionState({}),
    )
    guard = _Guard(handle)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.serve_listeners, guard.handle, [listener]))
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                guard.close_all()
    finally:
        listener.socket.close()


def _config() -> Config:
    config = Config()
    config.keep_alive_timeout = PATIENCE_S
    config.read_timeout = round(PATIENCE_S)
    config.h11_max_incomplete_size = HEAD_BYTES
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = LOG
    return config


class _Guard:
    """Knows the open connections, oldest first."""

    def __init__(self, handle: Callable[[Any], Any]) -> None:
        self._handle = handle
        self._open: dict[_Connection, None] = {}
        self._tell_at = float("-inf")

    async def handle(self, stream: trio.SocketStream) -> None:
        if len(self._open) >= CONNECTIONS:
            # None: all of them are on their way out already.
            oldest = next((one for one in self._open if not one.scope.cancel_called), None)
            if oldest is not None:
                oldest.close_now()
        connection = _Connection(stream)
        self._open[connection] = None
        try:
            with connection.scope:
                await self._handle(connection)
        except* Exception as errors:
            # Whatever a client sends, it's this connection that ends, not the engine.
            self._tell(errors)
        finally:
            del self._open[connection]
            connection.close_now()

    def _tell(self, errors: ExceptionGroup[Exception]) -> None:
        now = trio.current_time()
        if now >= self._tell_at:
            self._tell_at = now + TELL_S
            LOG.warning("a connection failed", exc_info=errors)

    def close_all(self) -> None:
        for connection in tuple(self._open):
            connection.close_now()


class _Connection(trio.abc.HalfCloseableStream):
    """A connection whose client can't make us wait for long."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.socket = stream.socket
        self.scope = trio.CancelScope()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_after(PATIENCE_S) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            self.close_now()
            raise trio.BrokenResourceError("the client doesn't read")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def close_now(self) -> None:
        """End it: what is shielded finds its socket closed, the rest is cancelled."""
        self.socket.close()
        self.scope.cancel()
