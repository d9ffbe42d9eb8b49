"""The producers' shared rate, seen from outside: how many jobs were enqueued when."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio

from tests.engine.rig import Rig, Wire
from tests.support import Server, new_job
from trioq.core.calls import NewJob, Rate
from trioq.core.events import EnqueueRefused, Event, FilesEnqueued, RedisAway, RedisBack
from trioq.core.limiter import interval_us
from trioq.engine.bridge import ThreadCaller
from trioq.engine.inline import InlineCaller
from trioq.engine.outage import Outage
from trioq.engine.sources.sender import Limiter
from trioq.errors import StoreBusy, StoreUnreachable
from trioq.store.lane import Lane
from trioq.store.memory import MemoryStore
from trioq.store.protocol import StoreOptions

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock

BURST = 20
LIMIT = Rate("producer", interval_us(100), BURST)


def files(count: int, name: str = "f") -> list[NewJob]:
    return [new_job("low", seen=(f"{name}{n}", "1:1")) for n in range(count)]


async def feed(limiter: Limiter, jobs: Sequence[NewJob], batch: int = 200) -> None:
    """Let the limiter enqueue all of them."""
    send, receive = trio.open_memory_channel[Sequence[NewJob]](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(limiter.run, receive)
        async with send:
            for start in range(0, len(jobs), batch):
                await send.send(jobs[start : start + batch])


class Told(list[Event]):
    """What was reported."""

    def enqueued(self) -> int:
        return sum(event.count for event in self if isinstance(event, FilesEnqueued))


def limiter_on(caller: Any, rate: Rate | None, told: Told, draw: random.Random) -> Limiter:
    return Limiter(caller, rate, Outage(told.append, draw.random), told.append, draw.random)


# --- in virtual time: exactly ---------------------------------------------------------------


class Counting(MemoryStore):
    """Notes when each job was enqueued."""

    def __init__(self, clock: Callable[[], float], **options: Any) -> None:
        super().__init__(StoreOptions(**options), clock)
        self.times: list[float] = []
        self.requests: list[int] = []
        self._now = clock

    def enqueue(self, sender: str, n: int, jobs: Sequence[NewJob], **rest: Any) -> Any:
        self.requests.append(len(jobs))
        before = self.space.stats["enqueued"]
        enqueued = super().enqueue(sender, n, jobs, **rest)
        self.times += [self._now()] * (self.space.stats["enqueued"] - before)
        return enqueued


def most_above_the_rate(times: Sequence[float], rate: float) -> float:
    """By how much a window, from one job to any later one, had more than ``rate * t`` jobs."""
    most, least = 0.0, float("inf")
    for n, at in enumerate(times):
        least = min(least, n - rate * at)
        most = max(most, n + 1 - rate * at - least)
    return most


@pytest.mark.parametrize("seed", range(2))
async def test_three_producers_share_the_rate_and_never_pass_it(
    autojump_clock: Clock, seed: int
) -> None:
    draw, told = random.Random(seed), Told()
    store = Counting(trio.current_time)
    async with trio.open_nursery() as nursery:
        for producer in "abc":
            limiter = limiter_on(InlineCaller(store), LIMIT, told, draw)
            nursery.start_soon(feed, limiter, files(2000, producer))
        await trio.sleep(16.0)
        nursery.cancel_scope.cancel()
    times = store.times
    for start in range(1, 6):
        in_ten_s = sum(start <= at < start + 10 for at in times)
        assert 990 <= in_ten_s <= 1010
    assert most_above_the_rate(times, 100) <= BURST + 1e-3
    assert told.enqueued() == len(times)


async def test_after_a_quiet_time_there_is_one_burst(autojump_clock: Clock) -> None:
    told, draw = Told(), random.Random(0)
    store = Counting(trio.current_time)
    limiter = limiter_on(InlineCaller(store), LIMIT, told, draw)
    await feed(limiter, files(100))
    await trio.sleep(1000.0)
    store.times.clear()
    began = trio.current_time()
    await feed(limiter, files(100, "g"))
    assert store.times[BURST - 1] == began
    assert store.times[BURST] >= began + 0.01
    # All waits are precise to a tenth of an interval.
    assert store.times[-1] - began == pytest.approx(0.8, abs=0.01)


async def test_a_request_is_no_larger_than_what_can_be_granted(autojump_clock: Clock) -> None:
    store = Counting(trio.current_time)
    limiter = limiter_on(InlineCaller(store), LIMIT, Told(), random.Random(0))
    await feed(limiter, files(400))
    assert max(store.requests) == BURST
    unlimited = limiter_on(InlineCaller(store), None, Told(), random.Random(0))
    store.requests.clear()
    await feed(unlimited, files(1000, "g"), batch=500)
    assert store.requests == [200, 200, 100, 200, 200, 100]


async def test_a_full_queue_is_waited_for_and_said(autojump_clock: Clock) -> None:
    told = Told()
    store = Counting(trio.current_time, max_lengths={"low": 30})
    async with trio.open_nursery() as nursery:
        for name in "fg":
            limiter = limiter_on(InlineCaller(store), None, told, random.Random(0))
            nursery.start_soon(feed, limiter, files(20, name))
        await trio.sleep(5.5)
        assert store.space.stats["enqueued"] == 20
        assert len([event for event in told if isinstance(event, EnqueueRefused)]) == 6
        store.space.queue("low").ready.clear()
    assert store.space.stats["enqueued"] == 40


class AwayAtFirst(Counting):
    """Doesn't answer the first requests."""

    left = 3

    def enqueue(self, *args: Any, **rest: Any) -> Any:
        if self.left:
            self.left -= 1
            raise StoreUnreachable("away")
        return super().enqueue(*args, **rest)


async def test_a_queue_that_is_full_is_an_answer_and_ends_an_outage(autojump_clock: Clock) -> None:
    told = Told()
    store = AwayAtFirst(trio.current_time, max_lengths={"low": 10})
    limiter = limiter_on(InlineCaller(store), None, told, random.Random(0))
    with trio.move_on_after(30.0):
        await feed(limiter, files(20))
    kinds = list(dict.fromkeys(type(event) for event in told))
    assert kinds[:3] == [RedisAway, RedisBack, EnqueueRefused]


async def test_more_files_than_ever_fit_go_in_parts(autojump_clock: Clock) -> None:
    store = Counting(trio.current_time, max_lengths={"low": 10}, when_full={"low": "wait"})
    limiter = limiter_on(InlineCaller(store), None, Told(), random.Random(0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed, limiter, files(25))
        for enqueued in (10, 20, 25):
            await trio.sleep(2.5)
            assert store.space.stats["enqueued"] == enqueued
            store.space.queue("low").ready.clear()
    assert store.space.line == {}


async def test_files_that_are_known_cost_no_permit(autojump_clock: Clock) -> None:
    told = Told()
    store = Counting(trio.current_time)
    limiter = limiter_on(InlineCaller(store), LIMIT, told, random.Random(0))
    await feed(limiter, files(BURST))
    await trio.sleep(1000.0)
    began = trio.current_time()
    await feed(limiter, [*files(BURST), *files(BURST, "g")])
    assert trio.current_time() == began
    assert told.enqueued() == 2 * BURST


# --- on a real server -----------------------------------------------------------------------


async def test_on_the_servers_clock_no_more_than_burst_and_rate_allow(server: Server) -> None:
    told, draw = Told(), random.Random(1)
    rate = Rate("producer", interval_us(200), 10)
    stores = [server.store("t") for _ in range(4)]
    counts: list[tuple[int, int]] = []

    def count() -> None:
        """How many were enqueued up to when, both at one moment of the server."""
        (seconds, micros), enqueued = stores[0].lane.transaction(
            [("TIME",), ("HGET", "{t}:stats", "enqueued")]
        )
        counts.append((int(seconds) * 1_000_000 + int(micros), int(enqueued or 0)))

    count()
    async with trio.open_nursery() as nursery:
        for n, store in enumerate(stores[1:]):
            limiter = limiter_on(ThreadCaller(store, 5.0), rate, told, draw)
            nursery.start_soon(feed, limiter, files(1000, f"{n}-"))
        for _ in range(150):
            await trio.sleep(0.01)
            count()
        nursery.cancel_scope.cancel()
    for store in stores:
        store.lane.close()
    for (at_us, had), (until_us, has) in itertools.combinations(counts, 2):
        assert has - had <= 10 + (until_us - at_us) / rate.interval_us
    assert counts[-1][1] > 100, "and it gets on"


async def test_nothing_is_enqueued_twice_or_left_out_whatever_gets_lost(rig: Rig) -> None:
    told, draw = Told(), random.Random(2)
    lane = Lane(rig.server.dial, "produce")
    wire = Wire(lane, StoreOptions(), "produce")
    wire.lose = ["", "reply", "request", "", "reply", "reply", "request"] * 10
    limiter = limiter_on(ThreadCaller(wire, 5.0), None, told, draw)
    jobs = files(1000)
    await feed(limiter, jobs, batch=20)
    lane.close()
    waiting = [uid.decode() for uid in rig.key("LRANGE", "ready:low", 0, -1)]
    assert waiting[::-1] == [job.uid for job in jobs]


async def test_an_outage_is_waited_for_and_said_once(autojump_clock: Clock) -> None:
    told = Told()
    store = Counting(trio.current_time)
    away: Exception | None = StoreUnreachable("away")
    enqueue = store.enqueue

    def sometimes(*args: Any, **rest: Any) -> Any:
        if away is not None:
            raise away
        return enqueue(*args, **rest)

    store.enqueue = sometimes  # type: ignore[method-assign]
    limiter = limiter_on(InlineCaller(store), LIMIT, told, random.Random(0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed, limiter, files(10))
        await trio.sleep(20.0)
        away = StoreBusy("OOM command not allowed when used memory > 'maxmemory'.")
        await trio.sleep(5.0)
        assert store.space.stats["enqueued"] == 0
        away = None
    assert store.space.stats["enqueued"] == 10
    assert len([event for event in told if isinstance(event, RedisAway)]) == 1
