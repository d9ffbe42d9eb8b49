"""One write under failure: sent again until it is answered, and told truly if it isn't."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

import trioq
from tests.client.test_client import configured, greet, ready
from tests.engine.rig import rig_on
from tests.faults.proxy import Call, LoseReply, LoseRequest, Proxy, Rule
from tests.support import Server, new_job
from trioq.client.outbox import BATCH_BYTES, BATCH_JOBS
from trioq.client.resend import ResendPolicy
from trioq.core.config import Config, RedisConfig
from trioq.errors import (
    EnqueueUnknown,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreRefused,
    StoreUnreachable,
)
from trioq.store.connect import open_store

LOST = StoreUnreachable("connection reset")
NO_WAY = StoreUnreachable("connection refused", sent=False)
CLOSED = StoreClosed("closed")
LOADING = StoreBusy("LOADING the dataset")
FULL = StoreBusy("OOM command not allowed")
DENIED = StoreRefused("NOPERM")

# -- when to send again ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([LOST, NO_WAY, LOADING, LOST, NO_WAY], None),
        ([DENIED], DENIED),
        ([FULL], FULL),
        ([CLOSED], CLOSED),
        ([NO_WAY, LOADING, DENIED], DENIED),
        ([NO_WAY, CLOSED], CLOSED),
        # After one that may have arrived, a "no" says nothing about it.
        ([LOST, DENIED], "unknown"),
        ([LOST, LOADING, FULL], "unknown"),
        ([LOST, NO_WAY, CLOSED], "unknown"),
        ([NO_WAY, LOST, LOADING, NO_WAY, DENIED], "unknown"),
    ],
)
def test_what_a_write_is_told_after_several_errors_in_a_row(
    errors: Sequence[StoreError], told: StoreError | str | None
) -> None:
    policy = ResendPolicy(ends=10.0)
    for error in errors[:-1]:
        assert 0 <= policy.pause_s(error, 1.0) <= 1.0
    if told is None:
        assert 0 <= policy.pause_s(errors[-1], 1.0) <= 1.0
        return
    with pytest.raises(StoreError) as caught:
        policy.pause_s(errors[-1], 1.0)
    if told == "unknown":
        assert isinstance(caught.value, StoreUnreachable)
        assert caught.value.sent
        assert str(errors[-1]) in str(caught.value)
    else:
        assert caught.value is told


@pytest.mark.parametrize("last", [NO_WAY, LOADING])
@pytest.mark.parametrize("first", [LOST, NO_WAY])
def test_when_patience_ends_it_is_told_whether_something_may_have_arrived(
    first: StoreUnreachable, last: StoreError
) -> None:
    policy = ResendPolicy(ends=10.0)
    policy.pause_s(first, 9.9)
    with pytest.raises(StoreError) as caught:
        policy.pause_s(last, 10.0)
    assert getattr(caught.value, "sent", False) is first.sent


# -- several at once, and answers that get lost ------------------------------------------------


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.direct) as proxy:
        yield proxy


def by(proxy: Proxy) -> Config:
    return Config(namespace="t", redis=RedisConfig(url=proxy.url))


@pytest.mark.trio
async def test_tasks_that_share_a_client_lose_and_double_nothing_while_answers_get_lost(
    server: Server, proxy: Proxy
) -> None:
    rules = [
        proxy.add(Rule(fault, lambda call: call.name == "enqueue", nth=2, times=12, chance=0.4))
        for fault in (LoseReply(), LoseRequest())
    ]
    handles: list[trioq.Handle] = []

    async def some(client: trioq.Client, task: int) -> None:
        for n in range(5):
            handles.append(await client.enqueue(greet.call(f"{n}"), id=f"{task}-{n}"))
            handles.extend(await client.enqueue_many([greet.call("a"), greet.call("b")]))

    async with trioq.connect(by(proxy)) as client, trio.open_nursery() as nursery:
        for task in range(6):
            nursery.start_soon(some, client, task)
    assert all(rule.struck > 0 for rule in rules)
    assert all(handle.is_new for handle in handles)
    with rig_on(server) as rig:
        there = ready(rig, "high")
    assert sorted(there) == sorted(handle.uid for handle in handles)


def test_threads_that_share_a_client_lose_and_double_nothing_while_answers_get_lost(
    server: Server, proxy: Proxy
) -> None:
    rule = proxy.add(Rule(LoseReply(), lambda call: call.name == "enqueue", times=15, chance=0.5))
    handles: list[trioq.Handle] = []
    with trioq.connect_sync(by(proxy)) as client:

        def some() -> None:
            handles.extend(client.enqueue(greet.call("Ada")) for _ in range(10))

        threads = [threading.Thread(target=some) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert rule.struck > 0
    with rig_on(server) as rig:
        assert sorted(ready(rig, "high")) == sorted(handle.uid for handle in handles)
    assert len(handles) == 40


def test_an_operators_lost_write_that_is_then_refused_may_have_been_done(
    server: Server, proxy: Proxy
) -> None:
    store = server.store()

    def deny(call: Call) -> bool:
        if call.name == "pause":
            server.call("ACL", "SETUSER", "default", "-evalsha", "-eval")
        return call.name == "pause"

    try:
        with trioq.connect_admin(by(proxy)) as admin:
            admin.pause("low")
            # Denied while it runs: it is executed, its answer is lost, the next try is refused.
            proxy.add(Rule(LoseReply(), lambda call: call.name == "pause"))
            proxy.add(Rule(LoseRequest(), deny))
            with pytest.raises(StoreUnreachable, match="may have been executed") as caught:
                admin.resume("low")
    finally:
        server.call("ACL", "SETUSER", "default", "+evalsha", "+eval")
    assert caught.value.sent
    assert store.lane.call("SMEMBERS", "{t}:paused") == [], "it was done"
    store.lane.close()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_of_a_trio_program_loses_no_jobs_to_its_parents_numbers(
    server: Server, tmp_path: Path
) -> None:
    async def enqueue_some(client: trioq.Client) -> None:
        for _ in range(3):
            assert (await client.enqueue(greet.call("Ada"))).is_new

    async def parent() -> None:
        async with trioq.connect(configured(server, tmp_path)) as client:
            await enqueue_some(client)
            pid = os.fork()
            if pid == 0:
                # A trio program of its own; the parent's ends here with the thread that forked.
                child = threading.Thread(target=trio.run, args=(enqueue_some, client))
                child.start()
                child.join()
                os._exit(0)
            os.waitpid(pid, 0)  # noqa: ASYNC222 - nothing else runs here
            await enqueue_some(client)

    trio.run(parent)
    with rig_on(server) as rig:
        assert len(ready(rig, "high")) == 9


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_of_an_operators_program_changes_what_it_says(
    server: Server, tmp_path: Path
) -> None:
    with trioq.connect_admin(configured(server, tmp_path)) as admin:
        assert admin.pause("low")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert admin.resume("low")
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        # The child's number was the one that comes next here, and its sender another.
        assert admin.pause("low"), "it was a change"
        assert admin.stats().queues["low"].paused


# -- requests are bounded ----------------------------------------------------------------------


@pytest.mark.trio
async def test_no_request_is_larger_than_a_batch_may_be(server: Server, proxy: Proxy) -> None:
    frames: list[Call] = []

    def seen(call: Call) -> bool:
        if call.name == "enqueue":
            frames.append(call)
        return False

    proxy.add(Rule(LoseReply(), seen, times=None))
    calls = [greet.call("x" * size) for size in (*[10] * 1201, *[30_000] * 100, *[700_000] * 3)]
    async with trioq.connect(by(proxy)) as client:
        handles = await client.enqueue_many(calls)
    jobs = [call.frame.count(b'{"name":"xx') for call in frames]
    assert sum(jobs) == len(calls), "each was seen once"
    assert max(jobs) == BATCH_JOBS
    overhead = 200 * BATCH_JOBS
    assert BATCH_BYTES // 2 < max(len(call.frame) for call in frames) < BATCH_BYTES + overhead
    with rig_on(server) as rig:
        assert ready(rig, "high") == [handle.uid for handle in handles]


# -- a closed client ---------------------------------------------------------------------------

AT_ONCE_S = 1.0


def in_time(what: Callable[[], object]) -> None:
    began = time.monotonic()
    with pytest.raises(StoreClosed, match="closed"):
        what()
    assert time.monotonic() - began < AT_ONCE_S


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("was_used", [True, False])
def test_a_closed_client_says_so_at_once(
    own_server: Server, tmp_path: Path, *, was_used: bool, is_up: bool
) -> None:
    with trioq.connect_sync(configured(own_server, tmp_path)) as client:
        if was_used:
            client.enqueue(greet.call("Ada"))
    if not is_up:
        own_server.kill()
    in_time(lambda: client.enqueue(greet.call("Ada")))
    in_time(lambda: client.enqueue_many([greet.call("Ada")]))


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("was_used", [True, False])
def test_a_closed_client_of_a_trio_program_says_so_at_once(
    own_server: Server, tmp_path: Path, *, was_used: bool, is_up: bool
) -> None:
    async def use() -> None:
        async with trioq.connect(configured(own_server, tmp_path)) as client:
            if was_used:
                await client.enqueue(greet.call("Ada"))
        if not is_up:
            own_server.kill()
        await client.enqueue(greet.call("Ada"))

    in_time(lambda: trio.run(use))


def test_a_closed_operators_connection_says_so_at_once(own_server: Server, tmp_path: Path) -> None:
    with trioq.connect_admin(configured(own_server, tmp_path)) as admin:
        admin.pause("low")
    for what in (lambda: admin.pause("low"), admin.stats, lambda: admin.cancel("x")):
        in_time(what)


@pytest.mark.trio
async def test_a_client_that_is_closed_while_others_wait_for_an_answer_ends_their_wait(
    own_server: Server, tmp_path: Path
) -> None:
    file = configured(own_server, tmp_path)
    own_server.kill()
    ends: list[Exception] = []

    async def enqueue(client: trioq.Client) -> None:
        try:
            await client.enqueue(greet.call("Ada"))
        except (StoreClosed, EnqueueUnknown) as error:
            ends.append(error)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery, trioq.connect(file) as client:
            for _ in range(3):
                nursery.start_soon(enqueue, client)
            await trio.testing.wait_all_tasks_blocked(0.05)
    assert [type(error) for error in ends] == [StoreClosed] * 3


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_was_forked_off_a_closed_client_is_told_so(
    server: Server, tmp_path: Path
) -> None:
    with trioq.connect_sync(configured(server, tmp_path)) as client:
        pass
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            in_time(lambda: client.enqueue(greet.call("Ada")))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_store_of_a_closed_connector_is_closed(server: Server) -> None:
    connector = open_store(Config(namespace="t", redis=RedisConfig(url=server.url)))
    connector.close()
    in_time(lambda: connector.store("late").enqueue("s", 1, [new_job()]))
