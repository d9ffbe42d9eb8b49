"""Serves HTTP inside the nursery, with hypercorn, so that no client can hurt the engine.

hypercorn shields what it sends from being cancelled, so that a client which reads nothing
would hold up the end of the process. So sending has a deadline, the number of connections has a
bound, and a connection is ended by closing its socket and cancelling its task.

HTTP/1.1 alone: of HTTP/2 a single connection could open and reset streams faster than they end,
and no scraper and no probe needs it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import attrs
import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import parse_socket_addr, wrap_app

#: What a client of the metrics gets for sending a request, and for taking a piece of the answer.
PATIENCE_S = 5.0

#: Beyond so many connections the oldest is closed: descriptors belong to Redis and the handlers.
CONNECTIONS = 64

#: There is nothing to send us but a request line and a few headers.
HEAD_BYTES = 8192

#: What is told is true now, and is text, not a page with scripts.
HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

#: So many bytes at a time.
RECEIVED = 65536

#: A client that makes connections fail is told of this often at most.
TELL_S = 30.0

LOG = logging.getLogger("trioq.web")


@attrs.frozen(kw_only=True)
class Bounds:
    """What clients get, all of them and each. The defaults are what metrics and health need."""

    connections: int = attrs.field(factory=lambda: CONNECTIONS)
    read_s: float = attrs.field(factory=lambda: PATIENCE_S)
    """Between pieces of a request, and for an answer to begin, but for event streams."""
    send_s: float = attrs.field(factory=lambda: PATIENCE_S)
    """For taking a piece of the answer."""
    head_bytes: int = HEAD_BYTES
    headers: tuple[tuple[bytes, bytes], ...] = HEADERS
    """Of every answer, also of those that no page gives."""


#: Browsers keep connections, one for each page that shows what moves; forms are sent.
OF_PAGES = Bounds(connections=512, read_s=60.0, send_s=20.0, head_bytes=16384, headers=())


async def serve(app: Any, listener: trio.SocketListener, bounds: Bounds | None = None) -> None:
    """Serve until cancelled.

    Args:
      app: An ASGI application; it is told of no lifespan.
      bounds: What clients get. Default: as for metrics.

    Cancellation: open connections are closed at once; answers under way are cut off.
    """
    bounds = bounds or Bounds()
    config = _config(bounds)
    handle = partial(
        _Server,
        wrap_app(cast(ASGIFramework, app), 0, "asgi"),
        config,
        WorkerContext(None),
        ConnectionState({}),
    )
    guard = _Guard(handle, bounds)
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
    more_headers: tuple[tuple[bytes, bytes], ...] = ()

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        """Of every answer, also of those that no page gives."""
        return [*super().response_headers(protocol), *self.more_headers]


def _config(bounds: Bounds) -> Config:
    config = _Config()
    config.more_headers = bounds.headers
    config.keep_alive_timeout = bounds.read_s
    config.read_timeout = round(bounds.read_s)
    config.h11_max_incomplete_size = bounds.head_bytes
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

    is_streaming = False
    """Whether the answer under way is a stream of events: its client has nothing to say."""

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Response):
            kinds = [value for name, value in event.headers if name.lower() == b"content-type"]
            self.is_streaming = any(kind.startswith(b"text/event-stream") for kind in kinds)
        await super().stream_send(event)

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
    """One connection. As in hypercorn, but for the choice of a protocol, and for streams of
    events, which end by no silence of the client's."""

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

    async def _read_data(self) -> None:
        protocol = cast(_Http1, self.protocol)
        while True:
            try:
                with trio.fail_after(self.config.read_timeout or math.inf):
                    data = await self.stream.receive_some(RECEIVED)
            except trio.TooSlowError:
                if protocol.is_streaming:
                    continue
                break
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            await protocol.handle(RawData(bytes(data)))
            if not data:
                break
        await protocol.handle(Closed())


class _Guard:
    """Knows the open connections, oldest first."""

    def __init__(self, handle: Callable[[Any], Any], bounds: Bounds | None = None) -> None:
        self._handle = handle
        self._bounds = bounds or Bounds()
        self._open: dict[_Connection, None] = {}
        self._tell_at = float("-inf")

    async def handle(self, stream: trio.SocketStream) -> None:
        if len(self._open) >= self._bounds.connections:
            # None: all of them are on their way out already.
            oldest = next((one for one in self._open if not one.scope.cancel_called), None)
            if oldest is not None:
                oldest.close_now()
        connection = _Connection(stream, self._bounds.send_s)
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

    def __init__(self, stream: trio.SocketStream, send_s: float = PATIENCE_S) -> None:
        self._stream = stream
        self._send_s = send_s
        self.socket = stream.socket
        self.scope = trio.CancelScope()
        self._sending = trio.Lock()
        """A "100 Continue" is sent by another task than the answer."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_after(self._send_s) as scope:
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
