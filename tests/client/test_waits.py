"""Waiting for the ends of jobs, from trio and from threads: nobody is forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import attrs
import pytest
import trio

from tests.store.drive import Driver, Sender
from tests.support import PATIENCE_S, Server, wait_until
from trioq.client.loop_threads import Threads
from trioq.client.loop_waits import LoopWaits
from trioq.client.sync_waits import SyncWaits
from trioq.client.task_waits import TaskWaits
from trioq.client.waits import CHECK_S, Wait, Waiter, Waits
from trioq.core.calls import WAIT_MAX, End
from trioq.core.settlements import Ack, Deliver
from trioq.errors import StoreClosed, StoreRefused, WaitTimeout
from trioq.store.lane import Lane
from trioq.store.listening import Listening
from trioq.store.redis import RedisStore

LIVE, FIVE = End("live"), End("done", b"5")

# -- whom to ask for, and when -----------------------------------------------------------------


@attrs.define
class Table:
    """Waits, and who has been woken."""

    waits: Waits = attrs.field(factory=Waits)
    waiter: Waiter = attrs.field(init=False)
    woken: int = 0

    def __attrs_post_init__(self) -> None:
        self.waiter = Waiter(self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def wait(self, *uids: str) -> list[Wait]:
        made = [Wait(self.waiter, i) for i in range(len(uids))]
        for uid, wait in zip(uids, made, strict=True):
            self.waits.add(uid, None, wait)
        return made

    def asked(self, now: float = 0.0) -> list[str]:
        return [job.uid for job in self.waits.next(now)]

    def answer(self, *ends: End, now: float = 0.0) -> None:
        self.waits.answered(self.waits.next(now), ends, now)

    def over(self) -> list[End | Exception | None]:
        return [wait.end for wait in self.waiter.over]


def test_who_comes_is_asked_for_at_once_and_again_later() -> None:
    table = Table()
    table.wait("a")
    assert table.waits.next_at() == 0
    table.answer(LIVE)
    assert table.asked() == []
    assert table.waits.next_at() == CHECK_S
    assert table.asked(CHECK_S) == ["a"]
    assert CHECK_S <= 10, "whose end was told while nobody listened is told within seconds"


def test_who_was_asked_for_the_longest_time_ago_is_asked_for_first() -> None:
    table = Table()
    table.wait("a")
    table.answer(LIVE, now=0)
    table.wait("b")
    table.answer(LIVE, now=3)
    table.answer(LIVE, now=CHECK_S)
    assert table.waits.next_at() == 3 + CHECK_S
    assert table.asked(3 + CHECK_S) == ["b"]


def test_several_who_wait_for_one_job_are_asked_for_once_and_all_told() -> None:
    table = Table()
    first, second = table.wait("a", "a")
    assert table.asked() == ["a"]
    table.answer(FIVE)
    assert (first.end, second.end, table.woken) == (FIVE, FIVE, 2)
    assert len(table.waits) == 0


def test_so_many_are_asked_for_at_once() -> None:
    table = Table()
    table.wait(*map(str, range(WAIT_MAX + 1)))
    assert len(table.asked()) == WAIT_MAX
    table.answer(*[LIVE] * WAIT_MAX)
    assert table.asked() == [str(WAIT_MAX)]


@pytest.mark.parametrize("older", [LIVE, End("dead")])
def test_what_is_told_while_it_is_asked_for_counts_and_the_older_answer_does_not(
    older: End,
) -> None:
    table = Table()
    table.wait("a")
    jobs = table.waits.next(0)
    table.waits.told("a", FIVE)
    (again,) = table.wait("a")  # for the same job, revived
    table.waits.answered(jobs, [older], 0)
    assert table.asked() == ["a"], "the server doesn't know of this wait"
    assert again.end is None
    table.answer(LIVE)
    assert table.asked(CHECK_S) == ["a"], "and of the wait before nothing is left"


def test_whoever_knows_the_callers_id_says_it_for_all() -> None:
    table = Table()
    table.wait("a")
    table.waits.add("a", "mine", Wait(table.waiter, 1))
    table.wait("a")
    assert [job.id for job in table.waits.next(0)] == ["mine"]


def test_a_large_end_is_asked_for() -> None:
    table = Table()
    table.wait("a")
    table.answer(LIVE)
    table.waits.told("a", End("later"))
    assert table.asked() == table.asked(CHECK_S) == ["a"]
    table.answer(End("later"))
    assert table.asked() == ["a"]
    table.answer(FIVE)
    assert table.over() == [FIVE]


def test_after_a_silence_all_are_asked_for_anew() -> None:
    table = Table()
    table.wait("a", "b")
    table.answer(LIVE, LIVE)
    table.waits.unheard()
    assert table.asked() == ["a", "b"]


def test_who_leaves_is_asked_for_no_more() -> None:
    table = Table()
    first, second = table.wait("a", "a")
    table.waits.leave("a", first)
    assert table.asked() == ["a"]
    table.waits.leave("a", second)
    assert table.asked() == []
    assert len(table.waits) == 0


def test_another_is_woken_who_waits_at_this_moment() -> None:
    table, one, leader, elsewhere = Table(), *(Table().waiter for _ in range(3))
    for waiter in (elsewhere, leader, one):
        table.waits.comes(waiter)
    table.waits.goes(elsewhere)
    table.waits.wake_another(one, leader)
    assert table.woken == 0
    table.waits.comes(table.waiter)
    table.waits.wake_another(one, leader)
    assert table.woken == 1


# -- on a server -------------------------------------------------------------------------------


@attrs.define
class Place:
    """A server with jobs, an engine that ends them, and clients that wait."""

    server: Server
    store: RedisStore
    sender: Sender
    engine: Driver
    opened: ExitStack
    lanes: list[Lane] = attrs.field(factory=list[Lane])
    """Of who waits."""

    def new(self, count: int = 1) -> list[str]:
        return [self.sender.enqueue_new() for _ in range(count)]

    def run(self, value: bytes = b"5", count: int = 1) -> list[str]:
        claims = self.engine.step(count)
        assert len(claims) == count
        n = self.engine.n
        self.engine.step(0, *(Deliver(c.uid, n, 60_000, "done", value) for c in claims))
        return [claim.uid for claim in claims]

    def ask_store(self) -> RedisStore:
        store = self.server.store()
        self.lanes.append(store.lane)
        return store

    def ear(self, name: str) -> Listening:
        lane = self.server.lane("ends")
        self.lanes.append(lane)
        return Listening(lane, self.store.keys, name)

    def tasks(self) -> TaskWaits:
        return TaskWaits(self.ask_store, self.ear, 10.0)

    def threads(self) -> SyncWaits:
        return SyncWaits(self.ask_store, self.ear)

    def loop(self) -> LoopWaits:
        return LoopWaits(self.threads(), Threads())

    def ears(self) -> int:
        """How many connections listen."""
        return len(self.server.call("PUBSUB", "CHANNELS"))

    def noted(self) -> int:
        """How many jobs the server knows to be waited for."""
        count: int = self.store.lane.call("HLEN", self.store.keys.fixed("waits"))
        return count


@pytest.fixture
def place(server: Server, store: RedisStore) -> Iterator[Place]:
    with ExitStack() as opened:
        place = Place(server, store, Sender(store), Driver(store), opened)
        yield place
        for lane in place.lanes:
            lane.close()


Waiting = Callable[["Place", Sequence[str], float], dict[str, End]]


def from_trio(place: Place, uids: Sequence[str], timeout_s: float) -> dict[str, End]:
    async def wait() -> dict[str, End]:
        waits, ends = place.tasks(), dict[str, End]()
        async for i, end in waits.ends_of([(uid, None) for uid in uids], timeout_s):
            ends[uids[i]] = end
        return ends

    return trio.run(wait)


def from_threads(place: Place, uids: Sequence[str], timeout_s: float) -> dict[str, End]:
    found = place.threads().ends_of([(uid, None) for uid in uids], timeout_s)
    return {uids[i]: end for i, end in found}


def from_asyncio(place: Place, uids: Sequence[str], timeout_s: float) -> dict[str, End]:
    async def wait() -> dict[str, End]:
        waits, ends = place.loop(), dict[str, End]()
        async for i, end in waits.ends_of([(uid, None) for uid in uids], timeout_s):
            ends[uids[i]] = end
        return ends

    return asyncio.run(wait())


each = pytest.mark.parametrize("wait", [from_trio, from_threads, from_asyncio])


def beside(place: Place, wait: Waiting, uids: Sequence[str]) -> Callable[[], dict[str, End]]:
    """Begin to wait in a thread; what is returned gives the ends."""
    pool = ThreadPoolExecutor(1)
    place.opened.callback(pool.shutdown)
    future = pool.submit(wait, place, uids, PATIENCE_S)
    return lambda: future.result(PATIENCE_S)


@each
def test_an_end_comes_to_who_waits(place: Place, wait: Waiting) -> None:
    uids = place.new()
    ends = beside(place, wait, uids)
    wait_until(lambda: place.noted() == 1)
    place.run()
    assert ends() == {uids[0]: FIVE}


@each
def test_what_is_over_already_is_told_at_once(place: Place, wait: Waiting) -> None:
    done, gone = place.new()[0], "f" * 32
    place.run()
    assert wait(place, [done, gone], PATIENCE_S) == {done: FIVE, gone: End("unknown")}


@each
def test_very_many_are_waited_for_on_one_connection(place: Place, wait: Waiting) -> None:
    uids = place.new(3 * WAIT_MAX)
    ends = beside(place, wait, uids)
    wait_until(lambda: place.noted() == len(uids))
    assert place.ears() == 1
    place.run(b"x" * 2000, len(uids))
    assert ends() == dict.fromkeys(uids, End("done", b"x" * 2000))


@each
def test_a_time_that_is_over_is_told_and_nobody_waits_any_more(place: Place, wait: Waiting) -> None:
    with pytest.raises(WaitTimeout):
        wait(place, place.new(), 0.05)


@each
@pytest.mark.direct  # the connections are killed by their kind
def test_who_listens_is_told_also_of_what_ended_in_a_silence(place: Place, wait: Waiting) -> None:
    uids = place.new(2)
    ends = beside(place, wait, uids)
    wait_until(lambda: place.noted() == 2)
    place.server.call("CLIENT", "KILL", "TYPE", "pubsub")
    place.run()
    wait_until(lambda: place.ears() == 1)
    place.run()
    assert ends() == dict.fromkeys(uids, FIVE)


@each
def test_a_server_that_says_no_ends_the_wait(place: Place, wait: Waiting) -> None:
    uids = place.new()
    place.store.lane.call("SET", place.store.keys.fixed("results"), "wrong")
    with pytest.raises(StoreRefused, match="WRONGTYPE"):
        wait(place, uids, PATIENCE_S)


@pytest.mark.direct
def test_a_restarted_server_has_all_told(own_server: Server) -> None:
    with ExitStack() as opened:
        store = own_server.store()
        place = Place(own_server, store, Sender(store), Driver(store), opened)
        uids = place.new(100)
        from_tasks, in_threads = (beside(place, each, uids) for each in (from_trio, from_threads))
        wait_until(lambda: place.noted() == 100 and place.ears() == 2)
        own_server.kill()
        own_server.start()
        place.store = own_server.store()
        place.engine = Driver(place.store)
        place.run(count=100)
        assert from_tasks() == in_threads() == dict.fromkeys(uids, FIVE)
        for lane in (store.lane, place.store.lane, *place.lanes):
            lane.close()


async def until(what: Callable[[], bool]) -> None:
    await trio.to_thread.run_sync(wait_until, what)


# -- several who wait --------------------------------------------------------------------------


def test_tasks_share_a_connection_and_who_leaves_leaves_it_to_another(place: Place) -> None:
    async def main() -> None:
        waits, (first, second) = place.tasks(), place.new(2)
        got: dict[str, End] = {}
        leader = trio.CancelScope()

        async def lead() -> None:
            with leader:
                await waits.end_of(first, None)

        async def follow() -> None:
            got[second] = await waits.end_of(second, None)

        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lead)
                await until(lambda: place.noted() == 1)
                nursery.start_soon(follow)
                await until(lambda: place.noted() == 2)
                assert place.ears() == 1
                leader.cancel()
                await until(lambda: place.ears() == 1)
                place.run(count=2)
        assert got == {second: FIVE}

    trio.run(main)


def test_threads_share_a_connection_and_who_has_his_end_leaves_it_to_another(place: Place) -> None:
    waits, uids = place.threads(), place.new(3)
    got: dict[str, End] = {}

    def wait(uid: str) -> None:
        for _, end in waits.ends_of([(uid, None)], PATIENCE_S):
            got[uid] = end

    threads = [threading.Thread(target=wait, args=(uid,)) for uid in uids]
    for count, thread in enumerate(threads, 1):
        thread.start()
        wait_until(lambda count=count: place.noted() == count)  # type: ignore[misc]
    assert place.ears() == 1
    for count in range(1, 4):
        place.run()
        wait_until(lambda count=count: len(got) == count)  # type: ignore[misc]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert got == dict.fromkeys(uids, FIVE)


def test_a_client_that_is_closed_waits_for_nothing(place: Place) -> None:
    ends = beside(place, from_threads, place.new())
    wait_until(lambda: place.noted() == 1)
    for lane in place.lanes:
        lane.close()
    with pytest.raises(StoreClosed):
        ends()


def test_an_end_that_was_not_kept_is_known_while_somebody_waited(place: Place) -> None:
    (uid,) = place.new()
    ends = beside(place, from_threads, [uid])
    wait_until(lambda: place.noted() == 1)
    place.engine.claim()
    place.engine.step(0, Ack(uid, place.engine.n))
    assert ends() == {uid: End("done")}
