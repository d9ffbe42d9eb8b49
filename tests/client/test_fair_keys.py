"""Both kinds of client: whose turn a job is, is told with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import trioq
from tests.support import Server
from trioq.core.events import Event, JobSucceeded
from trioq.errors import PayloadRejected


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    path = tmp_path / "trioq.toml"
    path.write_text(
        f'namespace = "t"\nredis.url = "{server.url}"\n'
        'worker.count = 1\nobservability.bind = ""\n[[queues]]\nname = "low"\n'
    )
    return path


async def ran(config: Path, count: int) -> list[str]:
    """The uids of so many jobs in the order in which an engine has run them."""
    app, order = trioq.App(), list[str]()

    @app.job("noop")
    async def noop() -> None:
        pass

    def heard(event: Event) -> None:
        if isinstance(event, JobSucceeded):
            order.append(event.uid)
            if len(order) == count:
                engine.drain()

    engine = trioq.Engine(app, config, report=heard)
    await engine.run()
    return order


@pytest.mark.trio
async def test_a_flood_of_one_key_delays_anothers_first_job_by_one(config: Path) -> None:
    with trioq.connect_sync(config) as client:
        flood = [client.enqueue("noop", {}, fair_key="big").uid for _ in range(20)]
        small = client.enqueue("noop", {}, fair_key="small").uid
    assert (await ran(config, 21)).index(small) == 1
    assert len(flood) == 20


@pytest.mark.trio
async def test_a_key_that_weighs_more_has_more_turns(config: Path) -> None:
    async with trioq.connect(config) as client:
        for _ in range(9):
            await client.enqueue("noop", {}, fair_key="light")
        heavy = [(await client.enqueue("noop", {}, fair_key=7, weight=3)).uid for _ in range(9)]
    first = (await ran(config, 18))[:12]
    assert 8 <= sum(uid in heavy for uid in first) <= 9


@pytest.mark.trio
async def test_many_have_the_key_that_is_asked_for(config: Path, server: Server) -> None:
    calls = [trioq.Call("noop", {}) for _ in range(2)]
    with trioq.connect_sync(config) as client:
        client.enqueue_many(calls, fair_key="a", weight=2)
    async with trioq.connect(config) as own:
        await own.enqueue_many(calls, fair_key="b")
        with pytest.raises(PayloadRejected, match=r"the fair_key .* 256 at most"):
            await own.enqueue_many(calls, fair_key="b" * 255)
    rows = sorted(row.decode().partition(" ")[2] for row in server.call("HVALS", "{t}:flow"))
    assert rows == ['1 "b"', '1 "b"', '2 "a"', '2 "a"']


@pytest.mark.parametrize("weight", [True, "2"])
def test_a_weight_is_a_number(config: Path, weight: Any) -> None:
    with trioq.connect_sync(config) as client, pytest.raises(TypeError, match="weight"):
        client.enqueue("noop", {}, fair_key="a", weight=weight)


def test_what_is_refused_was_not_written(config: Path, server: Server) -> None:
    with trioq.connect_sync(config) as client, pytest.raises(PayloadRejected, match="weight"):
        client.enqueue("noop", {}, fair_key="a", weight=0)
    assert server.call("EXISTS", "{t}:jobs", "{t}:flow", "{t}:fair") == 0
