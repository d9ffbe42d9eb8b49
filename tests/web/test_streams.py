"""Streams of events: a silent client is no reason to end one, and a crowd keeps nobody out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support import PATIENCE_S
from trioq.web.server import OF_PAGES, Bounds, serve

ASK = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


async def plain(request: Request) -> Response:
    return PlainTextResponse("here")


async def events(request: Request) -> Response:
    async def each() -> AsyncIterator[bytes]:
        n = 0
        while True:
            yield b"data: %d\n\n" % n
            n += 1
            await trio.sleep(12)

    return StreamingResponse(each(), media_type="text/event-stream")


APP = Starlette(routes=[Route("/", plain), Route("/events", events)])


@asynccontextmanager
async def served(bounds: Bounds) -> AsyncIterator[tuple[str, int]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, APP, listener, bounds)
        host, port = listener.socket.getsockname()[:2]
        yield host, port
        nursery.cancel_scope.cancel()


async def until(stream: trio.SocketStream, what: bytes) -> bytes:
    """What comes until that has come."""
    got = b""
    while what not in got:
        more = await stream.receive_some()
        assert more, got
        got += more
    return got


@pytest.mark.trio
async def test_a_stream_goes_on_however_long_its_client_says_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    autojump_clock.autojump_threshold = 0.02  # what is on its way arrives first
    async with served(Bounds(read_s=5.0, headers=())) as where:
        stream = await trio.open_tcp_stream(*where)
        await stream.send_all(ASK % b"events")
        for n in range(4):
            await until(stream, b"data: %d\n\n" % n)
        await stream.aclose()


@pytest.mark.trio
async def test_whoever_asks_for_a_page_and_then_says_nothing_goes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    autojump_clock.autojump_threshold = 0.02
    async with served(Bounds(read_s=5.0, headers=())) as where:
        stream = await trio.open_tcp_stream(*where)
        await stream.send_all(ASK % b"")
        await until(stream, b"here")
        assert await stream.receive_some() == b""
        assert 0 < trio.current_time() < 100
        await stream.aclose()


@pytest.mark.trio
async def test_a_crowd_of_streams_keeps_nobody_out_and_the_end_from_nothing() -> None:
    with trio.fail_after(PATIENCE_S):
        async with served(Bounds(connections=8, headers=())) as where:
            crowd = []
            for _ in range(30):
                crowd.append(await trio.open_tcp_stream(*where))
                await crowd[-1].send_all(ASK % b"events")
                await until(crowd[-1], b"data: 0")
                other = await trio.open_tcp_stream(*where)
                await other.send_all(ASK % b"")
                await until(other, b"here")
                await other.aclose()
            assert await crowd[0].receive_some() == b"", "the oldest goes first"
        for each in crowd:
            await each.aclose()


def test_pages_have_room_for_many_and_say_their_own_headers() -> None:
    assert OF_PAGES.connections >= 256
    assert OF_PAGES.headers == ()
