"""Many at once: each batch is drafted while the one before is under way, and nobody notices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.client.test_client import configured, greet, ready
from tests.engine.rig import rig_on
from tests.faults.proxy import LoseReply, LoseRequest, Proxy, Rule
from tests.support import PATIENCE_S, Server
from trioq import Call
from trioq.client.outbox import BATCH_JOBS
from trioq.core.config import Config, RedisConfig
from trioq.errors import PayloadRejected, QueueFull

Enqueues = Callable[[Path, Iterable[Call], str | None], list[trioq.Handle]]


def from_ordinary_code(
    config: Path, calls: Iterable[Call], queue: str | None
) -> list[trioq.Handle]:
    with trioq.connect_sync(config) as client:
        return client.enqueue_many(calls, queue=queue)


def from_trio(config: Path, calls: Iterable[Call], queue: str | None) -> list[trioq.Handle]:
    async def enqueue() -> list[trioq.Handle]:
        async with trioq.connect(config) as client:
            return await client.enqueue_many(calls, queue=queue)

    return trio.run(enqueue)


both = pytest.mark.parametrize("enqueue_many", [from_ordinary_code, from_trio])


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


def waiting(server: Server, queue: str = "high") -> list[str]:
    with rig_on(server) as rig:
        return ready(rig, queue)


@both
@pytest.mark.parametrize("count", [0, 1, BATCH_JOBS, BATCH_JOBS + 1, 3 * BATCH_JOBS])
def test_all_are_queued_in_their_order(
    config: Path, server: Server, enqueue_many: Enqueues, count: int
) -> None:
    handles = enqueue_many(config, (greet.call(str(n)) for n in range(count)), None)
    assert waiting(server) == [handle.uid for handle in handles]
    assert len(handles) == count


@both
@pytest.mark.parametrize("wrong", [2 * BATCH_JOBS + 1, 2 * BATCH_JOBS + 10])
def test_an_error_in_the_calls_leaves_the_batches_before_it_queued(
    config: Path, server: Server, enqueue_many: Enqueues, wrong: int
) -> None:
    def calls() -> Iterator[Call]:
        for n in range(5 * BATCH_JOBS):
            yield Call("greet", {"name": {n}}) if n == wrong else greet.call("Ada")

    with pytest.raises(PayloadRejected):
        enqueue_many(config, calls(), "high")
    assert len(waiting(server)) == 2 * BATCH_JOBS


@both
def test_a_batch_that_is_refused_is_told_before_an_error_in_the_calls_of_the_next(
    config: Path, server: Server, enqueue_many: Enqueues
) -> None:
    def calls() -> Iterator[Call]:
        yield from [greet.call("Ada")] * (3 * BATCH_JOBS + 1)
        raise ValueError("in the calls")

    with pytest.raises(QueueFull):
        enqueue_many(config, calls(), "low")  # has room for 1000
    assert len(waiting(server, "low")) == 2 * BATCH_JOBS


@both
def test_ctrl_c_while_a_batch_is_drafted_is_ctrl_c(
    config: Path, server: Server, enqueue_many: Enqueues
) -> None:
    def calls() -> Iterator[Call]:
        yield from [greet.call("Ada")] * (BATCH_JOBS + 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enqueue_many(config, calls(), None)
    assert len(waiting(server)) in (0, BATCH_JOBS)


@pytest.mark.parametrize("count", [BATCH_JOBS + 1, 2 * BATCH_JOBS + 1])
def test_a_client_whose_batch_was_given_up_has_the_right_answers_afterwards(
    config: Path, server: Server, count: int
) -> None:
    def calls() -> Iterator[Call]:
        yield from [greet.call("Ada")] * count
        raise KeyboardInterrupt

    with trioq.connect_sync(config) as client:
        taken = client.enqueue(greet.call("Ada"), id="x")
        with pytest.raises(KeyboardInterrupt):
            client.enqueue_many(calls())
        # An answer that nobody came for isn't taken for this one.
        again = client.enqueue(greet.call("Ada"), id="x")
        assert (again.uid, again.existing) == (taken.uid, "live")
        assert len(client.enqueue_many([greet.call("Ada")] * (BATCH_JOBS + 1))) == BATCH_JOBS + 1
    there = waiting(server)
    assert len(there) == len(set(there))


def test_calls_may_enqueue_themselves_and_others_go_on_while_they_take_their_time(
    config: Path, server: Server
) -> None:
    others: list[trioq.Handle] = []

    def calls() -> Iterator[Call]:
        for n in range(3 * BATCH_JOBS):
            if n % 400 == 0:
                others.append(client.enqueue(greet.call("from the calls")))
                thread = threading.Thread(
                    target=lambda: others.append(client.enqueue(greet.call("from a thread")))
                )
                thread.start()
                thread.join(PATIENCE_S)
                assert not thread.is_alive()
            yield greet.call("Ada")

    with trioq.connect_sync(config) as client:
        handles = client.enqueue_many(calls())
    there = waiting(server)
    own = [handle.uid for handle in handles]
    assert [uid for uid in there if uid in own] == own
    assert sorted(there) == sorted([*own, *(handle.uid for handle in others)])
    assert len(others) == 8


@both
@pytest.mark.parametrize("fault", [LoseReply(), LoseRequest()])
def test_a_batch_whose_answer_got_lost_is_queued_once(
    server: Server, tmp_path: Path, enqueue_many: Any, fault: Any
) -> None:
    with Proxy(server.direct) as proxy:
        there = Config(namespace="t", redis=RedisConfig(url=proxy.url))
        rule = proxy.add(
            Rule(fault, lambda call: call.name == "enqueue", nth=2, times=3, chance=0.5)
        )
        calls = (greet.call(str(n)) for n in range(8 * BATCH_JOBS))
        handles = enqueue_many(there, calls, None)
    assert rule.struck > 0
    assert waiting(server) == [handle.uid for handle in handles]


def test_a_flushed_script_cache_is_filled_again_by_a_batch(config: Path, server: Server) -> None:
    server.call("SCRIPT", "FLUSH")
    with trioq.connect_sync(config) as client:
        handles = client.enqueue_many([greet.call("Ada")] * (2 * BATCH_JOBS))
    assert waiting(server) == [handle.uid for handle in handles]
