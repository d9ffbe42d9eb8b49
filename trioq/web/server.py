"""Serves HTTP inside the nursery, with hypercorn, so that no client can hurt the engine.

hypercorn shields what it sends from being cancelled, so that a client which reads nothing
would hold up the end of the process. So sending has a deadline, the number of connections has a
bound, and a connection is ended by closing its socket and cancelling its task.

HTTP/1.1 alone: of HTTP/2 a single connection could open and reset streams faster than they end,
and no scraper and no probe needs it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import parse_socket_addr, wrap_app

#: What a client gets for sending a request, and for taking a piece of the answer.
PATIENCE_S = 5.0

#: Beyond so many connections the oldest is closed: descriptors belong to Redis and the handlers.
CONNECTIONS = 64

#: There is nothing to send us but a request line and a few headers.
HEAD_BYTES = 8192

#: What is told is true now, and is text, not a page with scripts.
HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

#: A client that makes connections fail is told of this often at most.
TELL_S = 30.0

LOG = logging.getLogger("trioq.web")


async def serve(app: Any, listener: trio.SocketListener) -> None:
    """Serve until cancelled.

    Cancellation: open connections are closed at once; answers under way are cut off.
    """
    config = _config()
    handle = partial(
        _Server,
        wrap_app(cast(ASGIFramework, app), 0, "asgi"),
        config,
        WorkerContext(None),
        ConnectionState({}),
    )
    guard = _Guard(handle)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.serve_listeners, guard.handle, [listener]))
            try:
                await trio.sleep_forever()
            finally:
                guard.close_all()
    finally:
        listener.socket.close()


class _Config(Config):
    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        """Of every answer, also of those that no page gives."""
        return [*super().response_headers(protocol), *HEADERS]


def _config() -> Config:
    config = _Config()
    config.keep_alive_timeout = PATIENCE_S
    config.read_timeout = round(PATIENCE_S)
    config.h11_max_incomplete_size = HEAD_BYTES
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = LOG
    return config


class _Refused(Exception):
    """A request that gets no page."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Http1(H11Protocol):
    """HTTP/1.1, and no way to anything else."""

    async def handle(self, event: Event) -> None:
        try:
            await super().handle(event)
        except _Refused as refused:
            await self._send_error_response(refused.status)
            await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        if not event.http_version.startswith(b"1."):
            raise _Refused(505)

    async def _create_stream(self, request: h11.Request) -> None:
        # Who offers to speak something else gets its answer in this.
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        await super()._create_stream(
            h11.Request(
                method=request.method,
                target=request.target,
                headers=headers,
                http_version=request.http_version,
            )
        )


class _Server(TCPServer):
    """One connection. As in hypercorn, but for the choice of a protocol."""

    async def run(self) -> None:
        socket = self.stream.socket
        try:
            client = parse_socket_addr(socket.family, socket.getpeername())
            server = parse_socket_addr(socket.family, socket.getsockname())
            async with TaskGroup() as group:
                self._task_group = group
                self.protocol = _Http1(  # type: ignore[assignment]
                    self.app, self.config, self.context, group, ConnectionState(self.state),
                    False, client, server, self.protocol_send,
                )  # fmt: skip
                await self.idle_task.restart(group, self._idle_timeout)
                await self._read_data()
        except OSError:
            pass
        finally:
            await self._close()


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
        self._sending = trio.Lock()
        """A "100 Continue" is sent by another task than the answer."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_after(PATIENCE_S) as scope:
            async with self._sending:
                await self._stream.send_all(data)
        if scope.cancelled_caught:
            self.close_now()
            raise trio.BrokenResourceError("the client doesn't read")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes)
        if not data:
            # Who has gone waits for no answer: what is under way for it ends, and nothing begins.
            self.scope.cancel()
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()

    def close_now(self) -> None:
        """End it: what is shielded finds its socket closed, the rest is cancelled."""
        self.socket.close()
        self.scope.cancel()
