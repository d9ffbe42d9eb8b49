"""Big payloads come ahead of their runs: in order, in bounded requests, and no more than fit."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Sequence

import attrs
import pytest
import trio

from tests.engine.claimers import NOBODY
from tests.engine.virtual import PlainCaller, World, calm
from trioq.core.ahead import AHEAD_BYTES
from trioq.core.calls import NewJob
from trioq.core.events import (
    BootLost,
    Claimed,
    ClaimsReturned,
    EngineStopped,
    JobDied,
    JobFailed,
    JobStarted,
    JobSucceeded,
    RedisAway,
)
from trioq.core.formats.record import encode
from trioq.core.job import Record, Uid, new_uid
from trioq.engine.backlog import Backlog
from trioq.engine.claim import Held
from trioq.engine.fetch import Fetch
from trioq.engine.outage import Outage
from trioq.engine.shard.payloads import REQUEST_BYTES, Payloads
from trioq.errors import StoreUnreachable
from trioq.store.protocol import Store

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock
KB = 1000


class Asked:
    """What a store is asked for payloads."""

    def __init__(self, store: Store) -> None:
        self.together = list[list[Uid]]()
        self.alone = list[Uid]()
        self.is_cut = False
        """Whether no answer comes to that."""
        self._payload, self._payloads = store.payload, store.payloads
        store.payload, store.payloads = self.payload, self.payloads  # type: ignore[method-assign]

    def payload(self, uid: Uid) -> bytes | None:
        self._answers()
        self.alone.append(uid)
        return self._payload(uid)

    def payloads(self, uids: Sequence[Uid], bytes_max: int) -> Sequence[bytes | None]:
        self._answers()
        self.together.append(list(uids))
        return self._payloads(uids, bytes_max)

    def _answers(self) -> None:
        if self.is_cut:
            raise StoreUnreachable("cut")


def sized(n: int, size: int) -> Record:
    """A job whose payload has so many bytes; 0: a few."""
    payload = json.dumps({"n": n, "pad": "x" * size}).encode()
    return Record(new_uid(), "noop", "low", payload, enqueued_ms=1)


def put(store: Store, records: Sequence[Record], *, header: str = "") -> dict[Uid, bytes]:
    """Enqueue these; as they are stored. What headers say of big payloads may be replaced."""
    jobs = list[NewJob]()
    for record in records:
        stored, big = encode(record)
        if header:
            stored = b"%s,%s}\n" % (stored.rpartition(b",")[0], header.encode())
        jobs.append(NewJob(record.uid, "low", stored, big))
    store.enqueue(new_uid(), 1, jobs)
    return {job.uid: job.stored for job in jobs}


def notes(world: World, count: int = 4) -> list[int]:
    """Which jobs have run, in their order; with so many workers."""
    world.config, ran = calm(count=count), list[int]()

    @world.app.job("noop")
    async def noop(n: int, pad: str) -> None:
        ran.append(n)

    return ran


@attrs.define
class Bench:
    """One boot's payloads, without an engine: the test is its dispatcher and its workers."""

    world: World
    backlog: Backlog = attrs.field(factory=Backlog)
    asked: Asked = attrs.field(init=False)
    payloads: Payloads = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.asked = Asked(self.world.store)
        caller = PlainCaller(self.world.link())
        self.payloads = Payloads(
            Fetch(caller, Outage(self.world.report, lambda: 1.0)), self.backlog
        )
        self.world.nursery.start_soon(self.payloads.run)

    def claim(self, *sizes: int, header: str = "") -> list[Held]:
        """Jobs with payloads of these sizes come with a step."""
        records = [sized(n, size) for n, size in enumerate(sizes)]
        stored = put(self.world.store, records, header=header)
        jobs = [Held(NOBODY, r.uid, 1, 1, False, stored[r.uid]) for r in records]
        self.payloads.put(jobs)
        return jobs

    def take(self) -> Held:
        held = self.backlog.jobs.popleft()
        self.backlog.taken()
        return held

    @property
    def bytes(self) -> int:
        return sum(len(held.stored) + len(held.payload or b"") for held in self.backlog.jobs)


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world)


async def test_jobs_with_small_payloads_go_on_at_once(autojump_clock: Clock, bench: Bench) -> None:
    jobs = bench.claim(0, 10, 8000)
    assert list(bench.backlog.jobs) == jobs
    await trio.testing.wait_all_tasks_blocked()
    assert bench.asked.together == []


async def test_a_payload_that_has_come_is_with_its_job(autojump_clock: Clock, bench: Bench) -> None:
    (before,) = bench.claim(9 * KB)
    assert not bench.backlog
    await trio.testing.wait_all_tasks_blocked()
    held = bench.take()
    assert held.payload == bench.world.dump().big[before.uid]
    assert b"big" in before.stored
    assert attrs.evolve(held, payload=None) == attrs.evolve(
        before, stored=before.stored.rpartition(b',"big"')[0] + b"}\n"
    )


async def test_what_was_claimed_behind_a_big_one_stays_behind_it(
    autojump_clock: Clock, bench: Bench
) -> None:
    jobs = bench.claim(0, 9 * KB, 0, 0, 700 * KB, 700 * KB, 0)
    jobs += bench.claim(0, 0)
    assert [held.uid for held in bench.backlog.jobs] == [jobs[0].uid]
    await trio.testing.wait_all_tasks_blocked()
    assert [held.uid for held in bench.backlog.jobs] == [held.uid for held in jobs]


async def test_payloads_come_many_in_a_request_of_bounded_bytes(
    autojump_clock: Clock, bench: Bench
) -> None:
    jobs = bench.claim(*[100 * KB] * 35, 3000 * KB, *[100 * KB] * 5)
    await trio.testing.wait_all_tasks_blocked()
    assert [uid for uids in bench.asked.together for uid in uids] == [held.uid for held in jobs]
    size_of = {held.uid: len(bench.world.dump().big[held.uid]) for held in jobs}
    sizes = [sum(map(size_of.__getitem__, uids)) for uids in bench.asked.together]
    assert len(sizes) == 4 + 1 + 1
    assert [size for size in sizes if size > REQUEST_BYTES] == [max(size_of.values())]


async def test_what_waits_for_a_worker_is_bounded_by_bytes(
    autojump_clock: Clock, bench: Bench
) -> None:
    jobs = bench.claim(*[999 * KB] * 100)
    for n in range(100):
        await trio.testing.wait_all_tasks_blocked()
        assert 0 < bench.bytes <= AHEAD_BYTES
        if n < 90:
            assert bench.bytes > AHEAD_BYTES - 2 * REQUEST_BYTES - 999 * KB, "as full as it may be"
        assert bench.take().uid == jobs[n].uid
    assert len(bench.asked.together) == 100, "each once"


async def test_requests_do_not_become_as_small_as_what_a_run_makes_room_for(
    autojump_clock: Clock, bench: Bench
) -> None:
    jobs = bench.claim(*[10 * KB] * 2000)
    for held in jobs:
        await trio.testing.wait_all_tasks_blocked()
        assert bench.bytes <= AHEAD_BYTES
        assert bench.take().uid == held.uid
    assert len(bench.asked.together) == pytest.approx(20_000 * KB / REQUEST_BYTES, abs=2)


async def test_small_jobs_in_the_backlog_count_too(autojump_clock: Clock, bench: Bench) -> None:
    bench.claim(*[8000] * 980)
    bench.claim(2000 * KB)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.asked.together == []
    while bench.bytes + 2001 * KB > AHEAD_BYTES:
        bench.take()
    await trio.testing.wait_all_tasks_blocked()
    assert len(bench.asked.together) == 1
    assert bench.bytes <= AHEAD_BYTES


@pytest.mark.parametrize(
    ("size", "header"),
    [(AHEAD_BYTES, ""), (9 * KB, '"big":true'), (9 * KB, '"big":0'), (9 * KB, '"big":9e3')],
    ids=["larger than all that may wait", "of an older version", "nothing", "not as we write it"],
)
async def test_what_cannot_be_fetched_ahead_is_left_to_its_run(
    autojump_clock: Clock, bench: Bench, size: int, header: str
) -> None:
    jobs = bench.claim(size, header=header)
    assert list(bench.backlog.jobs) == jobs
    await trio.testing.wait_all_tasks_blocked()
    assert bench.asked.together == []


async def test_one_that_is_as_large_as_all_that_may_wait_comes_when_nothing_else_does(
    autojump_clock: Clock, bench: Bench
) -> None:
    bench.claim(0, AHEAD_BYTES - 40)
    await trio.testing.wait_all_tasks_blocked()
    assert bench.asked.together == []
    bench.take()
    await trio.testing.wait_all_tasks_blocked()
    assert bench.take().payload is not None


async def test_a_payload_that_is_gone_holds_nobody_up(autojump_clock: Clock, bench: Bench) -> None:
    jobs = bench.claim(9 * KB, 9 * KB, 0)
    bench.world.lose_payload(jobs[0].uid)
    await trio.testing.wait_all_tasks_blocked()
    assert [held.uid for held in bench.backlog.jobs] == [held.uid for held in jobs]
    assert bench.take() == jobs[0], "its run looks for itself"


async def test_records_that_tell_less_than_there_is_cost_no_memory(
    autojump_clock: Clock, bench: Bench
) -> None:
    jobs = bench.claim(*[500 * KB] * 20, header='"big":9000')
    await trio.testing.wait_all_tasks_blocked()
    assert list(bench.backlog.jobs) == jobs
    assert bench.bytes < 10 * KB


async def test_what_is_taken_back_while_it_comes_does_not_come(
    autojump_clock: Clock, bench: Bench
) -> None:
    bench.asked.is_cut = True
    jobs = bench.claim(9 * KB, 0, 9 * KB)
    await trio.sleep(60.0)
    assert bench.payloads.take_back() == jobs
    (again,) = bench.claim(20 * KB)
    bench.asked.is_cut = False
    await trio.sleep(60.0)
    assert [held.uid for held in bench.backlog.jobs] == [again.uid]
    assert len(bench.payloads) == 0


async def test_what_was_behind_one_that_is_taken_out_goes_on(
    autojump_clock: Clock, bench: Bench
) -> None:
    bench.asked.is_cut = True
    first, second, third, fourth = bench.claim(9 * KB, 0, 9 * KB, 0)
    out = bench.payloads.take_out({(first.uid, 1), (second.uid, 2), (fourth.uid, 1)})
    assert out == [first, fourth]
    assert list(bench.backlog.jobs) == [second]
    bench.asked.is_cut = False
    await trio.sleep(60.0)
    assert [held.uid for held in bench.backlog.jobs] == [second.uid, third.uid]


# -- in an engine --------------------------------------------------------------------------------


async def test_big_payloads_cost_few_requests(autojump_clock: Clock, world: World) -> None:
    ran, asked = notes(world), Asked(world.store)
    await world.start()
    for first in range(0, 4000, 500):
        put(world.store, [sized(n, 9 * KB) for n in range(first, first + 500)])
    await world.until(lambda: world.count("done") == 4000)
    assert sorted(ran) == list(range(4000))
    assert asked.alone == []
    assert len(asked.together) < 4000 * 9 * KB / REQUEST_BYTES * 2
    assert len(world.of(Claimed)) < 4000 / 16


async def test_workers_that_wait_for_jobs_keep_no_payload(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(count=8)

    @world.app.job("noop")
    async def noop(n: int, pad: str) -> None:
        await trio.sleep(1.0)

    await world.start()
    tracemalloc.start()
    try:
        put(world.store, [sized(n, 1000 * KB) for n in range(16)])
        await world.reported(JobStarted, 8)
        assert tracemalloc.get_traced_memory()[0] > 8 * 2 * 1000 * KB, "what runs has its payload"
        await world.until(lambda: world.count("done") == 16)
        await trio.sleep(10.0)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 1000 * KB
    finally:
        tracemalloc.stop()


async def test_with_one_worker_jobs_run_in_the_order_of_their_queue(
    autojump_clock: Clock, world: World
) -> None:
    ran = notes(world, count=1)
    await world.start()
    sizes = [0, 9 * KB, 300 * KB, 0, 0, AHEAD_BYTES, 2000 * KB]
    put(world.store, [sized(n, sizes[n % 7]) for n in range(70)])
    await world.until(lambda: world.count("done") == 70)
    assert ran == list(range(70))


@pytest.mark.parametrize("header", ["", '"big":true'], ids=["ahead", "in its run"])
async def test_waiting_for_a_payload_is_nobodys_run_time(
    autojump_clock: Clock, world: World, header: str
) -> None:
    notes(world)
    asked = Asked(world.store)
    running = await world.start()
    asked.is_cut = True
    put(world.store, [sized(n, 9 * KB) for n in range(8)], header=header)
    await world.reported(RedisAway)
    await trio.sleep(10.0)
    asked.is_cut = False
    succeeded = await world.reported(JobSucceeded, 8)
    assert {event.took_s for event in succeeded} == {0.0}
    dispatcher = running.engine.shards[0].dispatcher
    assert dispatcher is not None
    assert dispatcher._demand.ahead.jobs > 0, "nor are they taken for long ones"


async def test_a_timeout_begins_when_the_payload_is_there(
    autojump_clock: Clock, world: World
) -> None:
    asked, world.config = Asked(world.store), calm(count=1)

    @world.app.job("noop", timeout=2.0)
    async def noop(n: int, pad: str) -> None:
        await trio.sleep(1.0)

    await world.start()
    asked.is_cut = True
    put(world.store, [sized(0, 9 * KB)])
    put(world.store, [sized(1, 9 * KB)], header='"big":true')
    await world.reported(RedisAway)
    await trio.sleep(5.0)
    asked.is_cut = False
    await world.reported(JobSucceeded, 2)
    assert world.of(JobFailed) == []


@pytest.mark.parametrize("header", ["", '"big":true'], ids=["ahead", "in its run"])
async def test_who_stops_while_payloads_come_gives_their_jobs_back(
    autojump_clock: Clock, world: World, header: str
) -> None:
    ran, asked = notes(world), Asked(world.store)
    world.config = calm(grace_s=0.0)
    running = await world.start()
    asked.is_cut = True
    uids = [*put(world.store, [sized(n, 9 * KB) for n in range(10)], header=header)]
    await world.reported(RedisAway)
    running.engine.drain()
    await running.ended.wait()
    assert ran == []
    (stopped,) = world.of(EngineStopped)
    assert stopped.signed_off
    asked.is_cut = False
    await world.start()
    await world.until(lambda: world.count("done") == 10)
    assert sorted(ran) == list(range(10))
    assert {event.uid: event.attempt for event in world.of(JobSucceeded)} == dict.fromkeys(uids, 1)


async def test_what_waits_for_its_payload_while_an_engine_drains_is_anothers(
    autojump_clock: Clock, world: World
) -> None:
    ran, asked = notes(world), Asked(world.store)

    @world.app.job("long", timeout=1e6)
    async def long() -> None:
        await trio.sleep(1000.0)

    world.config = calm(count=4, grace_s=1e6)
    running = await world.start()
    world.enqueue("long")
    await world.reported(JobStarted)
    asked.is_cut = True
    put(world.store, [sized(n, 9 * KB) for n in range(3)])
    await world.reported(RedisAway)
    running.engine.drain()
    (returned,) = await world.reported(ClaimsReturned)
    assert returned.count == 3
    asked.is_cut = False
    await world.start()
    await world.until(lambda: world.count("done") == 3, within_s=100.0)
    assert sorted(ran) == [0, 1, 2]
    assert not running.ended.is_set()


async def test_a_killed_engines_payloads_come_to_another(
    autojump_clock: Clock, world: World
) -> None:
    ran, asked = notes(world), Asked(world.store)
    running = await world.start()
    asked.is_cut = True
    put(world.store, [sized(n, 9 * KB) for n in range(10)])
    await world.reported(RedisAway)
    running.kill()
    asked.is_cut = False
    await world.start()
    await world.until(lambda: world.count("done") == 10)
    assert sorted(ran) == list(range(10))
    assert world.of(JobFailed) == world.of(JobDied) == []


async def test_a_lease_that_ends_while_payloads_come_starts_nothing(
    autojump_clock: Clock, world: World
) -> None:
    ran, asked = notes(world), Asked(world.store)
    running = await world.start()
    asked.is_cut = True
    put(world.store, [sized(n, 9 * KB) for n in range(4)])
    await world.reported(RedisAway)
    running.link.cut()
    asked.is_cut = False
    await world.start()
    await world.until(lambda: world.count("done") == 4)
    running.link.mend()
    await world.reported(BootLost)
    await trio.sleep(60.0)
    assert sorted(ran) == [0, 1, 2, 3], "each once, by who had it by then"


async def test_what_waits_for_its_payload_behind_long_jobs_is_not_hoarded(
    autojump_clock: Clock, world: World
) -> None:
    ran = notes(world)

    @world.app.job("tiny")
    async def tiny() -> None:
        pass

    @world.app.job("long", timeout=1e6)
    async def long() -> None:
        await trio.sleep(60.0)

    running = await world.start()
    world.enqueue("tiny", 2000)
    await world.until(lambda: world.count("done") == 2000)
    world.enqueue("long", 8)
    put(world.store, [sized(n, 9 * KB) for n in range(40)])
    await trio.sleep(5.0)
    dispatcher = running.engine.shards[0].dispatcher
    assert dispatcher is not None
    assert len(dispatcher._boot.held) == 4, "what lay ahead went back"
    await world.until(lambda: world.count("done") == 2048)
    assert sorted(ran) == list(range(40))
