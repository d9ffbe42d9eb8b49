"""Handlers in asyncio go by the world's clock, too."""

from __future__ import annotations

import asyncio
import time

import pytest
import trio

from tests.testing.jobs import put
from trioq import Retry
from trioq.core.events import JobDied, JobFailed, JobStarted
from trioq.testing import World


async def test_an_hour_of_sleep_takes_no_time(tq: World) -> None:
    loops = set[asyncio.AbstractEventLoop]()

    @tq.app.job(runtime="asyncio", timeout=7200)
    async def sleep() -> None:
        loops.add(asyncio.get_running_loop())
        await asyncio.sleep(3600)

    put(tq, "sleep")
    put(tq, "sleep")
    began = time.monotonic()
    assert (await tq.drain()).done == 2
    assert tq.now == pytest.approx(3600, abs=1)
    assert time.monotonic() - began < 60
    assert len(loops) == 1


async def test_a_timeout_comes_at_its_time_and_retries_take_theirs(tq: World) -> None:
    @tq.app.job(
        runtime="asyncio", timeout=30, retry=Retry(max_attempts=3, base=100, cap=400, jitter=0.0)
    )
    async def hang() -> None:
        await asyncio.sleep(3600)

    put(tq, "hang")
    assert (await tq.drain(raises=False)).dead == 1
    starts = [at for at, _ in tq.timed(JobStarted)]
    assert starts == pytest.approx([0, 130, 360], abs=1)
    assert [event.error.type for event in tq.of(JobFailed)] == ["timeout"] * 2
    assert [at for at, _ in tq.timed(JobDied)] == pytest.approx([390], abs=1)


async def test_both_loops_keep_their_order(tq: World) -> None:
    seen: list[tuple[str, int]] = []

    @tq.app.job(runtime="asyncio")
    async def there() -> None:
        for turn in range(5):
            await asyncio.sleep(2)
            seen.append(("there", turn))

    @tq.app.job
    async def here() -> None:
        await trio.sleep(1)
        for turn in range(5):
            seen.append(("here", turn))
            await trio.sleep(2)

    put(tq, "there")
    put(tq, "here")
    assert (await tq.drain()).done == 2
    assert seen == [(name, turn) for turn in range(5) for name in ("here", "there")]


async def test_time_stands_still_while_a_thread_of_asyncio_works(tq: World) -> None:
    @tq.app.job(runtime="asyncio", timeout=20)
    async def reckon() -> None:
        await asyncio.to_thread(time.sleep, 0.05)

    put(tq, "reckon")
    assert (await tq.drain()).done == 1
    assert 0 < tq.now < 5


async def test_time_stands_still_while_a_socket_is_waited_for(tq: World) -> None:
    @tq.app.job(runtime="asyncio", timeout=20)
    async def talk() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.to_thread(time.sleep, 0.05)
            writer.write(b"yes\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1") as server:
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return (await reader.readline()).decode()
            finally:
                writer.close()
                await writer.wait_closed()

    put(tq, "talk")
    assert (await tq.drain()).done == 1
    assert tq.now < 5, tq.told


def test_and_each_run_has_a_loop_of_its_own(tq: World) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    @tq.app.job(runtime="asyncio")
    async def note() -> None:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(10)

    for _ in range(2):
        put(tq, "note")
        assert tq.run(tq.drain).done == 1
    assert len(set(loops)) == 2
    assert all(loop.is_closed() for loop in loops)
