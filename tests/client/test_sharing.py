"""Enqueues that meet on one client: they share requests, and nothing else."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

import trioq
from tests.client.test_client import configured, greet, ready
from tests.engine.rig import rig_on
from tests.faults.proxy import LoseReply, Proxy, Rule
from tests.support import PATIENCE_S, Server, wait_until
from trioq.client import resend, sync_outbox
from trioq.client.outbox import BATCH_JOBS
from trioq.core.config import Config, RedisConfig
from trioq.errors import EnqueueUnknown, QueueFull, StoreRefused, StoreUnreachable, TrioqError


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


def waiting(server: Server, queue: str = "high") -> list[str]:
    with rig_on(server) as rig:
        return ready(rig, queue)


class Callers:
    """Tasks that each enqueue one job, and what became of them."""

    def __init__(self, client: trioq.Client, nursery: trio.Nursery) -> None:
        self.client, self.nursery = client, nursery
        self.scopes: dict[str, trio.CancelScope] = {}
        self.tasks: dict[str, trio.lowlevel.Task] = {}
        self.got: dict[str, trioq.Handle | TrioqError] = {}

    async def come(self, *names: str, queue: str = "high", id: str | None = None) -> None:
        """Each in its turn: so that it is known whose request is under way."""
        for name in names:
            self.scopes[name] = trio.CancelScope()
            self.nursery.start_soon(self._enqueue, name, queue, id)
            await trio.testing.wait_all_tasks_blocked()

    async def _enqueue(self, name: str, queue: str, id: str | None) -> None:
        self.tasks[name] = trio.lowlevel.current_task()
        with self.scopes[name]:
            try:
                self.got[name] = await self.client.enqueue(greet.call(name), queue=queue, id=id)
            except TrioqError as error:
                self.got[name] = error

    def uid(self, name: str) -> str:
        handle = self.got[name]
        assert isinstance(handle, trioq.Handle | trioq.SyncHandle), handle
        return handle.uid


@asynccontextmanager
async def several(client: trioq.Client) -> AsyncIterator[Callers]:
    """All have an answer at the end, or have left."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            yield Callers(client, nursery)


@pytest.mark.direct  # it counts what one execution did
@pytest.mark.trio
async def test_a_hundred_tasks_that_enqueue_at_once_need_two_requests(
    config: Path, server: Server
) -> None:
    async with trioq.connect(config) as client:
        await client.enqueue(greet.call("the script is loaded"))
        server.call("CONFIG", "RESETSTAT")
        async with several(client) as callers:
            for n in range(100):
                callers.nursery.start_soon(client.enqueue, greet.call(str(n)))
    told = server.call("INFO", "commandstats").decode()
    assert "cmdstat_evalsha:calls=2," in told
    assert len(waiting(server)) == 101


@pytest.mark.trio
async def test_tasks_that_have_met_meet_again(config: Path, server: Server) -> None:
    async def some(client: trioq.Client) -> None:
        for _ in range(10):
            await client.enqueue(greet.call("Ada"))

    async with trioq.connect(config) as client:
        async with several(client) as callers:
            for _ in range(50):
                callers.nursery.start_soon(some, client)
        requests = client._outbox._own.box.numbering.number
    assert len(waiting(server)) == 500
    # One, of who came first, and of all as often as each has come.
    assert requests <= 11


@pytest.mark.trio
async def test_a_tasks_own_enqueues_keep_their_order(config: Path, server: Server) -> None:
    made: list[list[str]] = []

    async def some(client: trioq.Client) -> None:
        uids: list[str] = []
        made.append(uids)
        for n in range(10):
            uids.append((await client.enqueue(greet.call("a"))).uid)
            many = await client.enqueue_many([greet.call("b")] * (n % 3 * 150))
            uids += [handle.uid for handle in many]

    async with trioq.connect(config) as client, several(client) as callers:
        for _ in range(8):
            callers.nursery.start_soon(some, client)
    there = waiting(server)
    assert sorted(there) == sorted(uid for uids in made for uid in uids)
    place = {uid: n for n, uid in enumerate(there)}
    for uids in made:
        assert [place[uid] for uid in uids] == sorted(place[uid] for uid in uids)


@pytest.mark.trio
async def test_a_full_queue_refuses_only_those_who_enqueue_to_it(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue_many([greet.call("Ada")] * 999, queue="low")
        own_server.pause()
        async with several(client) as callers:
            await callers.come("first", "a")
            await callers.come("b", "c", queue="low")
            await callers.come("d")
            own_server.resume()
    assert isinstance(callers.got["c"], QueueFull), "room was for one"
    assert waiting(own_server) == [callers.uid(name) for name in ("first", "a", "d")]
    assert waiting(own_server, "low")[-1] == callers.uid("b")
    assert len(waiting(own_server, "low")) == 1000


@pytest.mark.trio
async def test_who_is_refused_by_the_server_is_refused_alone(
    own_server: Server, tmp_path: Path
) -> None:
    own_server.call("SET", "{t}:ready:low", "not a list")
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        async with several(client) as callers:
            await callers.come("first", "a")
            await callers.come("b", "c", queue="low")
            await callers.come("d")
            own_server.resume()
    refused = [callers.got[name] for name in "bc"]
    assert [type(error) for error in refused] == [StoreRefused] * 2
    assert refused[0] is not refused[1]
    assert waiting(own_server)[1:] == [callers.uid(name) for name in ("first", "a", "d")]


@pytest.mark.trio
async def test_one_id_that_several_enqueue_at_once_is_one_job(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        async with several(client) as callers:
            await callers.come("first", "a")
            await callers.come("b", "c", "d", id="x")
            await callers.come("e")
            own_server.resume()
    handles = [callers.got[name] for name in "bcd"]
    assert [(h.uid, h.existing) for h in handles if isinstance(h, trioq.Handle)] == [
        (callers.uid("b"), None), (callers.uid("b"), "live"), (callers.uid("b"), "live"),
    ]  # fmt: skip
    assert waiting(own_server)[1:] == [callers.uid(name) for name in ("first", "a", "b", "e")]


@pytest.mark.trio
async def test_who_is_cancelled_while_it_waits_is_never_queued(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        async with several(client) as callers:
            await callers.come("first", "a", "b", "c")
            callers.scopes["a"].cancel()
            callers.scopes["c"].cancel()
            await trio.testing.wait_all_tasks_blocked()
            own_server.resume()
    assert callers.got.keys() == {"first", "b"}
    assert waiting(own_server)[1:] == [callers.uid("first"), callers.uid("b")]


@pytest.mark.trio
async def test_whoever_sends_may_be_cancelled_and_the_others_are_queued_once(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        async with several(client) as callers:
            await callers.come("first", "a", "b", "c", "d")
            for name in ("first", "a", "b"):
                # What the others wait for is sent by the next of them, with its number.
                callers.scopes[name].cancel()
                await trio.testing.wait_all_tasks_blocked(0.02)
                assert callers.scopes[name].cancelled_caught
            own_server.resume()
    assert callers.got.keys() == {"c", "d"}
    there = waiting(own_server)
    assert len(there) == len(set(there))
    assert there[-2:] == [callers.uid("c"), callers.uid("d")]


@pytest.mark.trio
async def test_all_may_be_cancelled_in_one_moment_and_the_next_one_is_queued(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        async with several(client) as callers:
            await callers.come("first", "a", "b", "c")
            callers.scopes["first"].cancel()
            await trio.testing.wait_all_tasks_blocked(0.02)  # a sends what b and c wait for
            for name in "abc":
                callers.scopes[name].cancel()
            await callers.come("last")
            own_server.resume()
    assert callers.got.keys() == {"last"}
    assert waiting(own_server)[-1] == callers.uid("last")


class CancelsBefore(trio.abc.Instrument):
    """Cancels one task in the moment in which another is about to go on."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope) -> None:
        self.task, self.scope = task, scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.scope.cancel()


@pytest.mark.trio
async def test_who_is_cancelled_in_the_moment_in_which_it_is_to_send_leaves_that_to_the_next(
    own_server: Server, tmp_path: Path
) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        own_server.pause()
        async with several(client) as callers:
            await callers.come("first", "a", "b")
            first = callers.tasks["first"]
            trio.lowlevel.add_instrument(CancelsBefore(first, callers.scopes["a"]))
            own_server.resume()
    assert callers.got.keys() == {"first", "b"}
    assert waiting(own_server)[1:] == [callers.uid("first"), callers.uid("b")]


@pytest.mark.trio
async def test_without_an_answer_each_is_told_of_its_own_jobs(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "PATIENCE_S", 0.2)
    with Proxy(server.direct) as proxy:
        there = Config(namespace="t", redis=RedisConfig(url=proxy.url))
        async with trioq.connect(there) as client:
            await client.enqueue(greet.call("Ada"))
            proxy.on(LoseReply(), "enqueue", times=None)
            async with several(client) as callers:
                for name in ("first", "a", "b", "c"):
                    await callers.come(name)
    errors = list(callers.got.values())
    assert [type(error) for error in errors] == [EnqueueUnknown] * 4
    told = [uid for error in errors if isinstance(error, EnqueueUnknown) for uid in error.uids]
    assert len(told) == len(set(told)) == 4
    assert len({id(error.__cause__) for error in errors}) == 4, "each has a traceback of its own"
    assert set(waiting(server)[1:]) <= set(told)


# -- threads -----------------------------------------------------------------------------------


class Threads:
    """Threads that each enqueue one job, and what became of them."""

    def __init__(self, client: trioq.SyncClient) -> None:
        self.client = client
        self.got: dict[str, trioq.Handle | TrioqError] = {}
        self._threads: list[threading.Thread] = []

    def come(self, *names: str, queue: str = "high") -> None:
        """Each in its turn: so that it is known whose request is under way."""
        for name in names:
            before = self.known
            self._threads.append(
                threading.Thread(target=self._enqueue, args=(name, queue), daemon=True)
            )
            self._threads[-1].start()
            wait_until(lambda before=before: self.known > before)

    @property
    def known(self) -> int:
        """How many jobs wait, or are under way."""
        box = self.client._outbox._own.box
        return len(box._waiting) + sum(len(part.jobs) for part in box._parts)

    def _enqueue(self, name: str, queue: str) -> None:
        try:
            self.got[name] = self.client.enqueue(greet.call(name), queue=queue)
        except TrioqError as error:
            self.got[name] = error

    def join(self) -> None:
        assert self.have_ended()

    def have_ended(self, within_s: float = PATIENCE_S) -> bool:
        for thread in self._threads:
            thread.join(within_s)
        return not any(thread.is_alive() for thread in self._threads)

    def uid(self, name: str) -> str:
        handle = self.got[name]
        assert isinstance(handle, trioq.Handle | trioq.SyncHandle), handle
        return handle.uid


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who isn't woken waits for ever."""
    monkeypatch.setattr(sync_outbox, "LOOK_S", 3600.0)


@pytest.fixture
def threads(own_server: Server, tmp_path: Path) -> Iterator[Threads]:
    with trioq.connect_sync(configured(own_server, tmp_path)) as client:
        client.enqueue(greet.call("Ada"))
        yield Threads(client)


def test_threads_that_meet_share_a_request_and_each_has_its_own_answer(
    own_server: Server, threads: Threads, nobody_looks: None
) -> None:
    threads.client.enqueue_many([greet.call("Ada")] * 999, queue="low")
    own_server.pause()
    threads.come("first", "a")
    threads.come("b", "c", queue="low")
    threads.come("d")
    before = threads.client._outbox._own.box.numbering.number
    own_server.resume()
    threads.join()
    assert isinstance(threads.got["c"], QueueFull)
    assert waiting(own_server)[1:] == [threads.uid(name) for name in ("first", "a", "d")]
    assert waiting(own_server, "low")[-1] == threads.uid("b")
    # Together, and as that was refused, each by itself.
    assert threads.client._outbox._own.box.numbering.number == before + 1 + 4


def test_a_call_waits_no_longer_for_anothers_request_and_is_then_never_queued(
    own_server: Server, threads: Threads, nobody_looks: None
) -> None:
    own_server.pause()
    threads.come("first")
    with pytest.raises(StoreUnreachable, match="no answer in time") as late:
        threads.client.call(greet.call("Ada"), timeout=0)
    assert not late.value.sent
    own_server.resume()
    threads.join()
    assert waiting(own_server)[1:] == [threads.uid("first")]


@pytest.mark.trio
async def test_from_trio_likewise(own_server: Server, tmp_path: Path) -> None:
    async with trioq.connect(configured(own_server, tmp_path)) as client:
        await client.enqueue(greet.call("Ada"))
        async with several(client) as callers:
            own_server.pause()
            await callers.come("first")
            with pytest.raises(StoreUnreachable, match="no answer in time") as late:
                await client.call(greet.call("Ada"), timeout=0)
            assert not late.value.sent
            own_server.resume()
    assert waiting(own_server)[1:] == [callers.uid("first")]


def test_who_drafts_while_a_batch_is_under_way_keeps_nobody_waiting(
    own_server: Server, threads: Threads, nobody_looks: None
) -> None:
    def calls() -> Iterator[trioq.Call]:
        yield from [greet.call("x" * 1800)] * (BATCH_JOBS + 1)
        have_come.wait(PATIENCE_S)
        ended.append(threads.have_ended())

    def enqueue() -> None:
        handles.extend(threads.client.enqueue_many(calls()))

    have_come, ended = threading.Event(), list[bool]()
    handles: list[trioq.Handle] = []
    batch = threading.Thread(target=enqueue, daemon=True)
    own_server.pause()
    batch.start()
    wait_until(lambda: threads.known == BATCH_JOBS)
    threads.come("a", "b")  # while it is being sent
    have_come.set()
    own_server.resume()
    batch.join(2 * PATIENCE_S)
    assert ended == [True]
    there = [handle.uid for handle in handles]
    there[BATCH_JOBS:BATCH_JOBS] = map(threads.uid, "ab")
    assert waiting(own_server)[1:] == there


def test_a_batch_that_is_under_way_is_sent_once_where_another_comes_meanwhile(
    own_server: Server, threads: Threads
) -> None:
    def enqueue() -> None:
        others.extend(threads.client.enqueue_many([greet.call("Grace")] * BATCH_JOBS))

    def calls() -> Iterator[trioq.Call]:
        yield from [greet.call("Ada")] * (BATCH_JOBS + 1)
        other = threading.Thread(target=enqueue, daemon=True)
        other.start()
        other.join(PATIENCE_S)

    others: list[trioq.Handle] = []
    lane = threads.client._outbox._own.store.lane
    before = lane.generation
    ours = threads.client.enqueue_many(calls())
    ours[BATCH_JOBS:BATCH_JOBS] = others
    assert waiting(own_server)[1:] == [handle.uid for handle in ours]
    assert len(ours) == 2 * BATCH_JOBS + 1
    assert lane.generation == before, "who sends it twice gives up the first one's answer"


def interrupted(act: Callable[[], object], when: Callable[[], bool]) -> None:
    """Ctrl-C in the main thread, while it does this."""
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        wait_until(when)
        signal.pthread_kill(main, signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        act()
    other.join()


#: Ctrl-C comes anywhere, also where a socket has just been made and nobody has it yet.
ANYWHERE = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@ANYWHERE
def test_ctrl_c_of_whoever_sends_leaves_the_others_queued_once(own_server: Server) -> None:
    with Proxy(own_server.direct) as proxy:
        there = Config(namespace="t", redis=RedisConfig(url=proxy.url))
        with trioq.connect_sync(there) as client:
            client.enqueue(greet.call("Ada"))
            threads = Threads(client)
            # What goes together with the main thread's is executed, and nobody hears of it.
            rule = proxy.add(Rule(LoseReply(), lambda call: b"main" in call.frame, times=None))
            own_server.pause()
            threads.come("first")

            def it_was_sent() -> bool:
                wait_until(lambda: threads.known == 2)
                threads.come("a", "b")
                own_server.resume()
                return bool(wait_until(lambda: rule.struck > 0))

            interrupted(lambda: client.enqueue(greet.call("main")), it_was_sent)
            rule.times = 0
            threads.join()
            assert waiting(own_server)[3:] == [threads.uid("a"), threads.uid("b")]
            assert len(waiting(own_server)) == 5, "first, and main, once"


@ANYWHERE
def test_ctrl_c_while_the_server_is_silent_leaves_the_others_to_send_it_again(
    own_server: Server, threads: Threads
) -> None:
    own_server.pause()

    def others_wait() -> bool:
        wait_until(lambda: threads.known == 1)
        threads.come("a", "b")
        return True

    interrupted(lambda: threads.client.enqueue(greet.call("main")), others_wait)
    own_server.resume()
    threads.join()
    there = waiting(own_server)
    assert len(there) == len(set(there))
    assert there[-2:] == [threads.uid("a"), threads.uid("b")]
    assert threads.client.enqueue(greet.call("last")).uid == waiting(own_server)[-1]
