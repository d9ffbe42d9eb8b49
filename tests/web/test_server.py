"""No client hurts the engine: not one that is slow, not many, not one that sends rubbish."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

import trioq
from tests.observe.scraped import ask, configured, engine, eventually
from tests.support import PATIENCE_S, Server
from trioq import web
from trioq.web import server as web_server
from trioq.web.hosts import is_own

app = trioq.App()


@app.job("noop")
async def noop() -> None:
    pass


@asynccontextmanager
async def serving(server: Server, tmp_path: Path) -> AsyncIterator[trioq.Engine]:
    async with engine(app, configured(server, tmp_path)) as made:
        yield made


async def dial(address: str, receive_buffer: int | None = None) -> trio.SocketStream:
    host, _, port = address.rpartition(":")
    client = trio.socket.socket()
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await client.connect((host, int(port)))
    return trio.SocketStream(client)


def test_an_engine_that_nobody_asks_loads_nothing_to_answer_with(
    server: Server, tmp_path: Path
) -> None:
    config = tmp_path / "jobqueue.toml"
    config.write_text(f"""
        redis = {{ url = "{server.url}" }}
        observability = {{ bind = "127.0.0.1:0" }}
    """)
    code = """
import sys, trio, trioq

async def main():
    async with trio.open_nursery() as nursery:
        engine = await nursery.start(trioq.Engine(trioq.App(), sys.argv[1]).run)
        assert engine.http, "it would answer"
        print({"starlette", "hypercorn"} & set(sys.modules))
        engine.drain()

trio.run(main)
"""
    told = subprocess.run(
        [sys.executable, "-c", code, config],
        check=True, timeout=60, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert told.stdout == "set()\n"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time alone ends no connection."""
    monkeypatch.setattr(web_server, "PATIENCE_S", 3600.0)


REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


async def not_reading(address: str) -> trio.SocketStream:
    """A client that has asked for far more than fits on the way, and takes nothing of it."""
    stream = await dial(address, receive_buffer=1024)
    with trio.move_on_after(1.0), suppress(trio.BrokenResourceError):
        while True:  # until the server doesn't read any more either
            await stream.send_all(REQUEST * 50)
    return stream


@pytest.mark.trio
async def test_a_client_that_does_not_read_does_not_hold_up_the_end(
    server: Server, tmp_path: Path, patient: None
) -> None:
    with trio.fail_after(PATIENCE_S):
        async with serving(server, tmp_path) as made:
            clients = [await not_reading(made.http) for _ in range(2)]
            assert (await ask(made.http, "/healthz")).status == 200
    for client in clients:
        await client.aclose()


@pytest.mark.trio
async def test_a_client_that_does_not_read_loses_its_connection(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 0.2)
    async with serving(server, tmp_path) as made:
        client = await not_reading(made.http)

        async def closed() -> bool:
            try:
                await client.send_all(REQUEST)
            except trio.BrokenResourceError:
                return True
            return False

        await eventually(closed)
        await client.aclose()


@pytest.mark.trio
@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", REQUEST])
async def test_a_client_that_says_nothing_more_loses_its_connection(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 0.3)
    async with serving(server, tmp_path) as made:
        client = await dial(made.http)
        if sent:
            await client.send_all(sent)
        with trio.fail_after(PATIENCE_S):
            while await client.receive_some():
                pass
        await client.aclose()


@pytest.mark.trio
async def test_many_connections_do_not_keep_a_probe_out(
    server: Server, tmp_path: Path, patient: None
) -> None:
    async with serving(server, tmp_path) as made:
        crowd = [await dial(made.http) for _ in range(web_server.CONNECTIONS + 20)]
        assert (await ask(made.http, "/healthz")).status == 200
        # The oldest had to go, so that there is a bound.
        with trio.fail_after(PATIENCE_S), suppress(trio.BrokenResourceError):
            assert await crowd[0].receive_some() == b""
        for client in crowd:
            await client.aclose()


@pytest.mark.trio
@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00\xff\xfe rubbish \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n",
        b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx",
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: ????\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\xff\xff",
    ],
)  # fmt: skip
async def test_rubbish_costs_its_sender_a_connection_and_nobody_anything(
    server: Server, tmp_path: Path, rubbish: bytes
) -> None:
    config = configured(server, tmp_path)
    async with trioq.connect(config) as client, engine(app, config) as made:
        for _ in range(2):
            stream = await dial(made.http)
            with trio.move_on_after(0.3), suppress(trio.BrokenResourceError):
                await stream.send_all(rubbish)
                await stream.send_eof()
                while await stream.receive_some():
                    pass
            await stream.aclose()
        assert (await ask(made.http, "/healthz")).status == 200
        await client.enqueue(noop.call())

        async def is_done() -> bool:
            return (
                'trioq_jobs_completed_total{job_name="noop",queue="low"} 1.0'
                in (await ask(made.http, "/metrics")).text
            )

        await eventually(is_done)


@pytest.mark.trio
async def test_other_pages_and_methods_are_refused(server: Server, tmp_path: Path) -> None:
    async with serving(server, tmp_path) as made:
        assert "/readyz" in (await ask(made.http, "/")).text
        assert (await ask(made.http, "/nothing")).status == 404
        stream = await dial(made.http)
        await stream.send_all(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert b" 405 " in await stream.receive_some()
        await stream.aclose()


@pytest.mark.trio
async def test_connections_that_are_slow_to_end_keep_no_other_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "CONNECTIONS", 2)
    served, let_go = 0, trio.Event()

    async def handle(connection: object) -> None:
        nonlocal served
        served += 1
        if served <= 2:
            with trio.CancelScope(shield=True):
                await let_go.wait()

    guard = web_server._Guard(handle)
    pairs = [trio.socket.socketpair() for _ in range(5)]
    async with trio.open_nursery() as nursery:
        for ours, _ in pairs:
            nursery.start_soon(guard.handle, trio.SocketStream(ours))
            await trio.testing.wait_all_tasks_blocked()
        assert served == 5
        let_go.set()
    for _, theirs in pairs:
        theirs.close()


@pytest.mark.trio
async def test_the_oldest_goes_when_there_is_one_more_than_there_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "CONNECTIONS", 2)
    open_ones: list[int] = []

    async def handle(connection: web_server._Connection) -> None:
        number = len(pairs) - 1
        open_ones.append(number)
        try:
            await trio.sleep_forever()
        finally:
            open_ones.remove(number)

    guard = web_server._Guard(handle)
    pairs: list[tuple[trio.socket.SocketType, trio.socket.SocketType]] = []
    async with trio.open_nursery() as nursery:
        for expected in ([0], [0, 1], [1, 2], [2, 3]):
            pairs.append(trio.socket.socketpair())
            nursery.start_soon(guard.handle, trio.SocketStream(pairs[-1][0]))
            await trio.testing.wait_all_tasks_blocked()
            assert open_ones == expected
        nursery.cancel_scope.cancel()
    for _, theirs in pairs:
        theirs.close()


@pytest.mark.trio
async def test_connections_that_fail_are_told_of_now_and_then(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(connection: object) -> None:
        raise ExceptionGroup("rubbish", [ValueError("rubbish")])

    guard = web_server._Guard(handle)
    for expected in (1, 1, 1, 2, 2):
        ours, theirs = trio.socket.socketpair()
        await guard.handle(trio.SocketStream(ours))
        theirs.close()
        assert len(caplog.records) == expected
        await trio.sleep(0.4 * web_server.TELL_S)


@pytest.mark.trio
async def test_who_never_comes_to_the_end_of_its_headers_is_not_read_for_ever(
    server: Server, tmp_path: Path
) -> None:
    async with serving(server, tmp_path) as made:
        head = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + "x" * web_server.HEAD_BYTES
        assert (await raw(made.http, head.encode())).startswith("HTTP/1.1 4")


# -- HTTP/1.1 alone ------------------------------------------------------------------------------

H2C = (
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
WEBSOCKET = (
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("asked", "status"), [(H2C, b"200"), (WEBSOCKET, b"200"), (PREFACE, b"505")]
)
async def test_nothing_but_http_1_is_spoken(
    server: Server, tmp_path: Path, asked: bytes, status: bytes
) -> None:
    async with serving(server, tmp_path) as made:
        stream = await dial(made.http)
        await stream.send_all(asked)
        answer = bytes(await stream.receive_some())
        assert answer.startswith(b"HTTP/1.1 " + status)
        await stream.aclose()


@attrs.define(eq=False)
class Slow:
    """A family that takes as long as a test wants."""

    begun: threading.Event = attrs.field(factory=threading.Event)
    may_end: threading.Event = attrs.field(factory=threading.Event)
    times: int = 0

    def collect(self) -> Iterator[Metric]:
        self.times += 1
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)
        yield from ()


@pytest.mark.trio
async def test_a_request_whose_client_has_gone_is_not_rendered(patient: None) -> None:
    registry, slow = CollectorRegistry(auto_describe=False), Slow()
    registry.register(slow)
    bound = web.bind("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(web.serve, bound, registry, lambda: None)
        clients = []
        for _ in range(web_server.CONNECTIONS // 2):
            clients.append(await dial(bound.address))
            await clients[-1].send_all(REQUEST)
        await trio.to_thread.run_sync(slow.begun.wait)
        for client in clients:
            await client.aclose()
        await trio.testing.wait_all_tasks_blocked(0.1)
        slow.may_end.set()
        assert (await ask(bound.address, "/metrics")).status == 200
        # The one that was under way, and the one that was waited for.
        assert slow.times == 2
        nursery.cancel_scope.cancel()


# -- what stands in an answer, and for whom --------------------------------------------------------


async def raw(address: str, request: bytes) -> str:
    stream = await dial(address)
    await stream.send_all(request)
    with trio.fail_after(PATIENCE_S):
        answer = bytes(await stream.receive_some()).decode()
    await stream.aclose()
    return answer


@pytest.mark.trio
@pytest.mark.parametrize(
    "request_line",
    ["GET /", "GET /metrics", "GET /healthz", "GET /readyz", "GET /no", "POST /metrics", "?"],
)
async def test_no_answer_is_kept_or_guessed_at(
    server: Server, tmp_path: Path, request_line: str
) -> None:
    async with serving(server, tmp_path) as made:
        text = await raw(made.http, f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert "\r\ncache-control: no-store\r\n" in text.lower()
    assert "\r\nx-content-type-options: nosniff\r\n" in text.lower()


@pytest.mark.trio
async def test_nobody_is_led_elsewhere(server: Server, tmp_path: Path) -> None:
    async with serving(server, tmp_path) as made:
        for page in ("/metrics/", "/healthz/", "//evil.test/metrics", "/metrics//"):
            text = await raw(made.http, f"GET {page} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert text.startswith("HTTP/1.1 404")
            assert "location" not in text.lower()


@pytest.mark.trio
async def test_a_strangers_name_for_this_machine_shows_nothing(
    server: Server, tmp_path: Path
) -> None:
    async with serving(server, tmp_path) as made:
        text = await raw(made.http, b"GET /metrics HTTP/1.1\r\nHost: evil.test:80\r\n\r\n")
    assert text.startswith("HTTP/1.1 421")
    assert "trioq_" not in text


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:9090", True), ("[::1]:9090", True), ("::1", True), ("localhost", True),
        ("", True), ("worker", True), ("a.localhost:1", True), ("10.0.0.7", True),
        (socket.gethostname(), True), ("evil.test", False), ("localhost.evil.test", False),
        ("127.0.0.1.evil.test:9090", False), ("EVIL.test.", False),
        ("[::ffff:127.0.0.1]:9090", True), ("[::1.evil.test]:9090", False), ("localhost.", True),
    ],
)  # fmt: skip
def test_names_with_a_dot_may_be_strangers(host: str, own: bool) -> None:
    assert is_own(host) is own


@pytest.mark.trio
@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=x",
        "application/openmetrics-text; version=1.x",
        "text/plain; version=; escaping=",
        "\xff;q=nan, ;;;q=, */*;q=1e999",
    ],
)
async def test_whoever_accepts_what_is_not_clear_gets_text(
    server: Server, tmp_path: Path, accept: str
) -> None:
    async with serving(server, tmp_path) as made:
        answer = await ask(made.http, "/metrics", accept)
    assert answer.status == 200
    assert "trioq_workers" in answer.text


@pytest.mark.trio
async def test_what_two_tasks_send_comes_one_after_the_other(patient: None) -> None:
    """A "100 Continue" and an answer that didn't wait for it."""
    listener = trio.socket.socket()
    await listener.bind(("127.0.0.1", 0))
    listener.listen()
    host, port = listener.getsockname()
    client = await dial(f"{host}:{port}")
    accepted, _ = await listener.accept()
    listener.close()
    connection = web_server._Connection(trio.SocketStream(accepted))
    ones, twos, size = b"1" * (8 << 20), b"2" * (8 << 20), 16 << 20
    received = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.send_all, ones)
        nursery.start_soon(connection.send_all, twos)
        with trio.fail_after(PATIENCE_S):
            while len(received) < size:
                received += await client.receive_some()
    assert received in (ones + twos, twos + ones)
    await connection.aclose()
    await client.aclose()
