"""Where a queue is full, and one waits for room: first come, first served, and nobody for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

import trioq
from tests.store.drive import Driver
from tests.support import PATIENCE_S, Server
from trioq.errors import QueueFull
from trioq.store.redis import RedisStore

CONFIG = """
namespace = "t"
[redis]
url = "{url}"
[[queues]]
name = "low"
max_length = 2
when_full = "wait"
[observability]
bind = ""
"""


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    file = tmp_path / "jobqueue.toml"
    file.write_text(CONFIG.format(url=server.url))
    return file


def in_line(store: RedisStore) -> int:
    count: int = store.lane.call("HLEN", store.keys.fixed("enqueuers"))
    return count


def waiting(store: RedisStore) -> list[str]:
    """The caller's ids of the jobs in the queue, the next one first."""
    uids = store.lane.call("LRANGE", store.keys.of("ready", "low"), 0, -1)
    found = [store.lane.call("HGET", store.keys.fixed("id_of"), uid) for uid in reversed(uids)]
    return [id.decode() for id in found]


async def until(what: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not what():  # noqa: ASYNC110 - the server doesn't tell
            await trio.sleep(0.005)


@pytest.mark.trio
async def test_who_waits_for_room_goes_in_order_over_all_clients(
    config: Path, store: RedisStore
) -> None:
    engine = Driver(store, ("low",))

    async def enqueue(client: trioq.Client, id: str) -> None:
        handle = await client.enqueue("noop", {}, id=id)
        assert handle.is_new

    async with trioq.connect(config) as one, trioq.connect(config) as other:
        await one.enqueue("noop", {}, id="0")
        await one.enqueue("noop", {}, id="1")
        async with trio.open_nursery() as nursery:
            for n in range(2, 8):
                nursery.start_soon(enqueue, one if n % 2 else other, str(n))
                await until(lambda n=n: in_line(store) == n - 1)
            for n in range(6):
                assert len(engine.step(1)) == 1
                await until(lambda n=n: waiting(store) == [str(n + 1), str(n + 2)])
    assert in_line(store) == 0


@pytest.mark.trio
async def test_who_has_waited_for_long_enough_is_told_and_nothing_is_written(
    config: Path, store: RedisStore
) -> None:
    async with trioq.connect(config) as client:
        await client.enqueue_many([trioq.Call("noop", {})] * 2)
        with pytest.raises(QueueFull, match=r"2 of at most 2 job.*none came in 0\.\d+ s") as full:
            await client.enqueue("noop", {}, full_timeout=0.05)
        assert (full.value.queue, full.value.length, full.value.max_length) == ("low", 2, 2)
        assert in_line(store) == 0
        with pytest.raises(QueueFull) as full:
            await client.enqueue("noop", {}, full_timeout=0)
        assert full.value.waited_s is None
        assert (full.value.jobs, full.value.length) == (1, 2)
        with pytest.raises(QueueFull, match="3 at once never fit"):
            await client.enqueue_many([trioq.Call("noop", {})] * 3)
    assert len(store.lane.call("HKEYS", store.keys.fixed("jobs"))) == 2


@pytest.mark.trio
async def test_who_is_cancelled_holds_nobody_up(config: Path, store: RedisStore) -> None:
    engine = Driver(store, ("low",))
    async with trioq.connect(config) as client:
        await client.enqueue("noop", {}, id="0")
        await client.enqueue("noop", {}, id="1")
        leaves = trio.CancelScope()

        async def enqueue(id: str, scope: trio.CancelScope) -> None:
            with scope:
                await client.enqueue("noop", {}, id=id)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(enqueue, "2", leaves)
            await until(lambda: in_line(store) == 1)
            nursery.start_soon(enqueue, "3", trio.CancelScope())
            await until(lambda: in_line(store) == 2)
            leaves.cancel()
            await until(lambda: in_line(store) == 1)
            assert len(engine.step(1)) == 1
    assert waiting(store) == ["1", "3"]


@pytest.mark.trio
async def test_many_jobs_pass_a_short_queue(config: Path, store: RedisStore) -> None:
    engine = Driver(store, ("low",))
    done = trio.Event()

    async def take() -> None:
        while not done.is_set():
            engine.step(2)
            await trio.lowlevel.checkpoint()

    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        nursery.start_soon(take)
        async with trio.open_nursery() as enqueuers:
            for _ in range(60):
                enqueuers.start_soon(client.enqueue, "noop", {})
        done.set()
    assert in_line(store) == 0
    assert len(store.lane.call("HKEYS", store.keys.fixed("jobs"))) == 60


def test_threads_wait_for_room_too(config: Path, store: RedisStore) -> None:
    engine = Driver(store, ("low",))
    got: list[Any] = []
    with trioq.connect_sync(config) as client:
        client.enqueue_many([trioq.Call("noop", {})] * 2)
        with pytest.raises(QueueFull, match="none came in"):
            client.enqueue("noop", {}, full_timeout=0.05)
        assert in_line(store) == 0
        threads = [
            threading.Thread(target=lambda: got.append(client.enqueue("noop", {})))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        trio.run(until, lambda: in_line(store) == 3)
        for left in (2, 1, 0):
            assert len(engine.step(1)) == 1
            trio.run(until, lambda left=left: in_line(store) == left)
        for thread in threads:
            thread.join(PATIENCE_S)
    assert len(got) == 3
    assert in_line(store) == 0
