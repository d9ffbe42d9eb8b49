"""A patience bounds each call, whatever Redis does, and however many calls share a client."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trioq
import trioq.aio
from tests.client.test_client import configured, greet
from tests.support import Server
from trioq import Call
from trioq.client.outbox import BATCH_JOBS
from trioq.client.resend import SPARE_S, ResendPolicy
from trioq.core.config import Config, RedisConfig
from trioq.errors import EnqueueUnknown, StoreUnreachable, WaitTimeout

#: Where a call waits for one thing after the other, or so many wait for each other, it takes far
#: longer than a test may.
SHORT_S, MANY, LIMIT_S = 0.2, 100, 10.0

#: Who waits for another that sends for it may not hear in time that nothing was sent.
LATE = (StoreUnreachable, EnqueueUnknown)

Calls = Callable[[Any], Any]
CALLS: dict[str, Calls] = {
    "one": lambda client: client.enqueue("x"),
    "many": lambda client: client.enqueue_many([Call("x", {})] * (BATCH_JOBS + 1)),
    "handle": lambda client: client.handle("a"),
}


@attrs.define
class Dripping:
    """A server that greets, and whose answers to all else never end."""

    socket: socket.socket = attrs.field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    greets: bool = True

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self.greets:
                connection.recv(1 << 16)
                connection.sendall(b"+OK\r\n")
                connection.recv(1 << 16)
            while True:
                connection.sendall(b"+")
                time.sleep(0.05)

    @property
    def config(self) -> Config:
        port = self.socket.getsockname()[1]
        # Each of both would be waited for far longer.
        redis = RedisConfig(
            url=f"redis://127.0.0.1:{port}", connect_timeout_s=60.0, read_timeout_s=60.0
        )
        return Config(namespace="t", redis=redis)


@pytest.fixture(params=[True, False], ids=["drips", "greets by dripping"])
def dripping(request: pytest.FixtureRequest) -> Iterator[Dripping]:
    made = Dripping(greets=request.param)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    yield made
    made.socket.shutdown(socket.SHUT_RDWR)
    made.socket.close()
    thread.join(LIMIT_S)


def ends_in_time(call: Callable[[], object]) -> BaseException:
    """What it raises."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert raised, "it waits on"
    return raised[0]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_each_client_ends_though_something_comes_all_the_time(
    dripping: Dripping, call: str
) -> None:
    def ordinary() -> None:
        with trioq.connect_sync(dripping.config, patience=SHORT_S) as client:
            CALLS[call](client)

    async def in_trio() -> None:
        async with trioq.connect(dripping.config, patience=SHORT_S) as client:
            await CALLS[call](client)

    async def in_asyncio() -> None:
        async with trioq.aio.connect(dripping.config, patience=SHORT_S) as client:
            await CALLS[call](client)

    ends = [
        ends_in_time(ordinary),
        ends_in_time(lambda: trio.run(in_trio)),
        ends_in_time(lambda: asyncio.run(in_asyncio())),
    ]
    is_sent = dripping.greets and call != "handle"
    wanted = EnqueueUnknown if is_sent else StoreUnreachable
    assert [type(error) for error in ends] == [wanted] * 3


def test_nobody_logs_the_answer_of_a_call_whose_caller_has_left(dripping: Dripping) -> None:
    logged: list[dict[str, Any]] = []

    async def leave() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
        async with trioq.aio.connect(dripping.config, patience=SHORT_S) as client:
            left = asyncio.create_task(client.handle("a"))
            await asyncio.sleep(0)  # it has its turn, and a thread that waits
            left.cancel()
            with suppress(StoreUnreachable):
                await client.handle("b")  # its turn comes after that of the other

    asyncio.run(leave())
    gc.collect()
    assert not logged


def test_an_operators_questions_and_changes_end_too(dripping: Dripping) -> None:
    def asks() -> None:
        with trioq.connect_admin(dripping.config, patience=SHORT_S) as admin:
            admin.stats()

    def changes() -> None:
        with trioq.connect_admin(dripping.config, patience=SHORT_S) as admin:
            admin.pause("low")

    assert isinstance(ends_in_time(asks), StoreUnreachable)
    assert isinstance(ends_in_time(changes), StoreUnreachable)


@pytest.mark.parametrize("call", ["one", "handle"])
def test_calls_that_share_a_client_wait_beside_each_other_and_not_after(call: str) -> None:
    server = Dripping(greets=False)  # and nobody accepts
    raised: list[BaseException] = []

    async def told(waits: Awaitable[object]) -> None:
        try:
            await waits
        except LATE as error:
            raised.append(error)

    async def in_trio() -> None:
        with trio.fail_after(LIMIT_S):
            opens = trioq.connect(server.config, patience=SHORT_S)
            async with opens as client, trio.open_nursery() as nursery:
                for _ in range(MANY):
                    nursery.start_soon(lambda: told(CALLS[call](client)))

    async def in_asyncio() -> None:
        async with asyncio.timeout(LIMIT_S):
            async with trioq.aio.connect(server.config, patience=SHORT_S) as client:
                await asyncio.gather(*(told(CALLS[call](client)) for _ in range(MANY)))

    def ordinary() -> None:
        with trioq.connect_sync(server.config, patience=SHORT_S) as client:
            threads = [
                threading.Thread(target=lambda: raised.append(ends_in(client))) for _ in range(MANY)
            ]
            for thread in threads:
                thread.start()
            ends = time.monotonic() + LIMIT_S
            for thread in threads:
                thread.join(ends - time.monotonic())
                assert not thread.is_alive()

    def ends_in(client: Any) -> BaseException:
        with pytest.raises(LATE) as error:
            CALLS[call](client)
        return error.value

    trio.run(in_trio)
    asyncio.run(in_asyncio())
    ordinary()
    assert len(raised) == 3 * MANY
    server.socket.close()


def test_the_last_try_has_time_to_find_out_what_is_wrong() -> None:
    error = StoreUnreachable("refused", sent=False)
    policy = ResendPolicy.of(2.0, now=100.0)
    assert 100.0 < 100.0 + policy.pause_s(error, 100.0) <= 102.0 - SPARE_S
    with pytest.raises(StoreUnreachable, match="refused"):
        policy.pause_s(error, 102.0 - SPARE_S)


@pytest.mark.direct  # a lost answer isn't waited for
def test_a_call_that_waits_for_no_end_is_enqueued_all_the_same(
    server: Server, tmp_path: Path
) -> None:
    config = configured(server, tmp_path)
    with trioq.connect_sync(config, patience=30) as client, pytest.raises(WaitTimeout):
        client.call(greet.call("Ada"), timeout=0)

    async def in_trio() -> None:
        async with trioq.connect(config, patience=30) as client:
            with pytest.raises(WaitTimeout):
                await client.call(greet.call("Ada"), timeout=0)

    async def in_asyncio() -> None:
        async with trioq.aio.connect(config, patience=30) as client:
            with pytest.raises(WaitTimeout):
                await client.call(greet.call("Ada"), timeout=0)

    trio.run(in_trio)
    asyncio.run(in_asyncio())
