"""What a server can do to engines that are at work, and what must come of it.

Whole engines in the test's own loop, on a server of its own. Where the data set is kept, no
engine is taken for dead, every job is started once, and work goes on; where it isn't, what
is left of it is done.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import threading
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

import trioq
from tests.dump import dump
from tests.engine.rig import Rig, config_of, rig_on
from tests.invariants import assert_sound
from tests.support import PATIENCE_S, Server, wait_until
from trioq.core.config import RedisConfig
from trioq.core.events import (
    BootLost,
    EngineReaped,
    EngineStarted,
    JobStarted,
    JobSucceeded,
    RedisAway,
    RedisBack,
    SettlementRefused,
)
from trioq.engine.nurseries import plain_errors
from trioq.errors import StoreBusy, StoreError, StoreRefused, StoreUnreachable
from trioq.store.checks import check_server, explain, minimal_acl

pytestmark = [pytest.mark.trio, pytest.mark.direct]

#: In the proportions of the defaults; an outage of these tests is longer than the lease.
LEASE_S = 1.5
OUTAGE_S = 2.5
JOBS = 120
CONFIG = config_of(lease_s=LEASE_S, heartbeat_interval_s=0.3, reaper_s=0.5, count=4)


@contextlib.contextmanager
def a_rig(server: Server) -> Iterator[Rig]:
    """A rig whose jobs wait."""
    with rig_on(server, config=CONFIG) as rig:

        @rig.app.job("work")
        async def work(wait: float = 0.1) -> None:
            await trio.sleep(wait)

        yield rig


@pytest.fixture
def rig(own_server: Server) -> Iterator[Rig]:
    with a_rig(own_server) as rig:
        yield rig


@contextlib.contextmanager
def a_server(*options: str) -> Iterator[Server]:
    server = Server(options=options).start()
    try:
        yield server
    finally:
        server.close()


@asynccontextmanager
async def at_work(rig: Rig, jobs: int = JOBS, **payload: Any) -> AsyncIterator[list[str]]:
    """Two engines, some jobs into this many; at the end, all of them are done."""
    async with rig.running(), rig.running():
        uids = rig.enqueue("work", jobs, payload=payload)
        await rig.reported(JobStarted, 8)
        yield uids
        await rig.until(lambda: done(rig) >= jobs)


def done(rig: Rig) -> int:
    try:
        return rig.stats().counters.get("done", 0)
    except StoreError:
        return 0


def nothing_happened(rig: Rig, uids: list[str]) -> None:
    """Each job was started once and is done, and no engine was told that it had lost anything."""
    assert Counter(event.uid for event in rig.of(JobStarted)) == dict.fromkeys(uids, 1)
    lost = [*rig.of(BootLost), *rig.of(EngineReaped), *rig.of(SettlementRefused)]
    assert lost == []
    left = dump(rig.store)
    assert_sound(left, max_reaps=CONFIG.worker.max_reaps)
    assert (left.jobs, left.stats["done"]) == ({}, len(uids))


async def in_thread(what: Callable[[], Any]) -> Any:
    return await trio.to_thread.run_sync(what)


# -- an answer that isn't one, for longer than the lease ----------------------------------------


@contextlib.contextmanager
def standing_still(server: Server) -> Iterator[None]:
    server.pause()
    yield
    server.resume()


@contextlib.contextmanager
def pausing(server: Server, what: str) -> Iterator[None]:
    lane = server.lane("operator")
    lane.call("MONITOR")  # who watches isn't paused, not even by ALL
    server.call("CLIENT", "PAUSE", "600000", what)
    yield
    lane.call("CLIENT", "UNPAUSE")
    server.call("PING")
    lane.close()


@contextlib.contextmanager
def being_a_replica(server: Server) -> Iterator[None]:
    server.call("REPLICAOF", "127.0.0.1", "1")
    yield
    server.call("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def busy(server: Server) -> Iterator[None]:
    server.call("CONFIG", "SET", "busy-reply-threshold", "20")

    def run() -> None:
        with contextlib.suppress(StoreRefused):  # killed
            server.call("EVAL", "while true do end", 0)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    server.call("SCRIPT", "KILL")
    thread.join()


@contextlib.contextmanager
def full_of_clients(server: Server) -> Iterator[None]:
    """No connection but those that there are; and these end."""
    lane = server.lane("operator")
    lane.call("CONFIG", "SET", "maxclients", "1")
    lane.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield
    lane.call("CONFIG", "SET", "maxclients", "10000")
    lane.close()


@contextlib.contextmanager
def on_a_full_disk(server: Server) -> Iterator[None]:
    assert server.process is not None
    server.call("CONFIG", "SET", "appendfsync", "everysec")  # with always, the server ends
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    (piece,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    size = piece.stat().st_size
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)


Outage = Callable[[Server], contextlib.AbstractContextManager[None]]

OUTAGES: dict[str, Outage] = {
    "stands still": standing_still,
    "pauses all": lambda server: pausing(server, "ALL"),
    "pauses writes": lambda server: pausing(server, "WRITE"),
    "READONLY": being_a_replica,
    "BUSY": busy,
    "maxclients": full_of_clients,
    "MISCONF": on_a_full_disk,
}


async def test_an_outage_longer_than_the_lease_costs_nothing_but_time() -> None:
    """All kinds at the same time, each on a server of its own: they mostly wait."""
    failed: dict[str, BaseException] = {}

    async def story(name: str) -> None:
        options = ("--appendonly", "yes", "--appendfsync", "always")
        with a_server(*options) as server, a_rig(server) as rig:
            try:
                await an_outage(rig, OUTAGES[name])
            except Exception as error:
                failed[name] = error

    async with trio.open_nursery() as nursery:
        for name in OUTAGES:
            nursery.start_soon(story, name)
    for error in failed.values():
        traceback.print_exception(error)
    assert failed == {}


async def an_outage(rig: Rig, outage: Outage) -> None:
    async with at_work(rig) as uids:
        with outage(rig.server):
            await trio.sleep(OUTAGE_S)  # how long the outage lasts, or until both know of it
            await rig.reported(RedisAway, 2)
        assert await in_thread(lambda: done(rig)) < JOBS, "there was work to go on with"
    nothing_happened(rig, uids)
    assert len(rig.of(RedisAway)) == 2, "each engine says so once"
    assert len(rig.of(RedisBack)) == 2


async def test_engines_wait_for_a_server_that_loads_its_data(own_server: Server) -> None:
    own_server.options += ("--key-load-delay", "20000", "--loading-process-events-interval-bytes",
                           "1024")  # fmt: skip
    own_server.call("MSET", *(f"ballast:{n // 2}" for n in range(200)))
    own_server.call("BGREWRITEAOF")
    wait_until(lambda: not is_rewriting(own_server))
    with a_rig(own_server) as rig:
        async with at_work(rig) as uids:
            own_server.kill()
            starting = threading.Thread(target=own_server.start)
            starting.start()
            refusal = await rig.until(lambda: says(own_server, "LOADING"))
            assert explain(refusal, "there").endswith(
                ": try again in a while (" + str(refusal) + ")"
            )
            await in_thread(starting.join)
            own_server.call("CONFIG", "SET", "key-load-delay", "0")
        nothing_happened(rig, uids)


def says(server: Server, word: str) -> StoreBusy | None:
    """The check's refusal, if it is this one."""
    store = server.store("t")
    try:
        check_server(store)
    except StoreBusy as error:
        return error if str(error).startswith(word) else None
    except StoreUnreachable:
        return None
    finally:
        store.lane.close()
    return None


def is_rewriting(server: Server) -> bool:
    return b"aof_rewrite_in_progress:1" in server.call("INFO", "persistence")


# -- a data set that isn't what it was ----------------------------------------------------------


async def test_a_server_that_comes_back_empty_finds_engines_that_go_on() -> None:
    with a_server() as server, a_rig(server) as rig:
        async with rig.running(), rig.running():
            rig.enqueue("work", 8, payload={"wait": 60})
            await rig.reported(JobStarted, 8)
            server.kill()
            server.start()
            assert {event.why for event in await rig.reported(BootLost, 2)} == {"gone"}
            await rig.reported(EngineStarted, 4)
            uids = await new_jobs(rig, 20)
            await rig.until(lambda: {event.uid for event in rig.of(JobSucceeded)} == set(uids))
        left = dump(rig.store)
        assert_sound(left)
        assert (left.jobs, left.stats["done"]) == ({}, 20)


async def new_jobs(rig: Rig, count: int) -> list[str]:
    """Queue jobs as soon as the server takes them."""
    while True:
        try:
            return rig.enqueue("work", count)
        except StoreUnreachable:
            await trio.sleep(0.01)


async def test_nothing_is_half_there_after_the_data_set_was_flushed(rig: Rig) -> None:
    async with rig.running(), rig.running():
        for n in range(8):
            rig.enqueue("work", 30, payload={"wait": 0.02})
            rig.enqueue("work", 10, delay_ms=50, id=None)
            await rig.reported(JobStarted, 10 * (n + 1))
            rig.server.call("FLUSHALL")
        last = rig.enqueue("work", 40, payload={"wait": 0.01})
        succeeded = lambda: {event.uid for event in rig.of(JobSucceeded)}  # noqa: E731
        await rig.until(lambda: set(last) <= succeeded() and not dump(rig.store).jobs)
    assert 2 <= len(rig.of(BootLost)) <= 16
    assert_sound(dump(rig.store))


async def test_a_data_set_that_was_rolled_back_is_done_as_far_as_it_goes(rig: Rig) -> None:
    server = rig.server
    aof, kept = server.directory / "appendonlydir", server.directory / "kept"
    async with rig.running(), rig.running():
        first = rig.enqueue("work", 60)
        await rig.until(lambda: done(rig) >= 20)
        shutil.copytree(aof, kept)
        later = rig.enqueue("work", 60)
        await rig.until(lambda: done(rig) >= 80)
        server.kill()
        shutil.rmtree(aof)
        kept.rename(aof)
        server.start()
        await rig.until(lambda: done(rig) >= 60)
        assert {event.uid for event in rig.of(JobSucceeded)} >= set(first)
    left = dump(rig.store)
    assert_sound(left, max_reaps=CONFIG.worker.max_reaps)
    assert not left.jobs
    again = Counter(event.uid for event in rig.of(JobStarted))
    assert left.stats["done"] - 60 + sum(count > 1 for count in again.values()) > 0
    assert set(again) <= {*first, *later}


# -- a server that says no -----------------------------------------------------------------------


async def test_an_enqueue_into_a_full_server_writes_nothing(rig: Rig) -> None:
    rig.enqueue("work", 20)
    rig.server.call("SET", "ballast", b"x" * 20_000_000)
    rig.server.call("CONFIG", "SET", "maxmemory", "10mb")
    before = dump(rig.store)
    async with trioq.connect(url=rig.server.url, namespace="t") as client:
        with pytest.raises(StoreBusy, match="OOM"):
            await client.enqueue("work", {}, id="mine")
        assert dump(rig.store) == before
        async with rig.running():
            await rig.until(lambda: done(rig) == 20)
        rig.server.call("DEL", "ballast")
        assert (await client.enqueue("work", {}, id="mine")).is_new


@pytest.mark.parametrize("what", ["permission", "password"])
async def test_what_is_taken_away_ends_the_engine_with_a_clear_line_and_loses_nothing(
    rig: Rig, what: str
) -> None:
    server = rig.server
    server.call("ACL", "SETUSER", "worker", "on", ">old", *minimal_acl("t"))
    url = server.url.replace("unix://", "unix://worker:old@")
    config = attrs.evolve(CONFIG, redis=RedisConfig.from_url(url))

    async def an_engine() -> None:
        with plain_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trioq.Engine(again_app(), config, report=rig.report).run)
                await rig.reported(JobStarted, 4)
                if what == "permission":
                    server.call("ACL", "SETUSER", "worker", "-zadd")
                else:
                    server.call("ACL", "SETUSER", "worker", "resetpass", ">new")
                    server.call("CLIENT", "KILL", "USER", "worker")

    uids = rig.enqueue("again", 40)
    with trio.fail_after(PATIENCE_S), pytest.raises(StoreRefused) as caught:
        await an_engine()
    expected = {"permission": "may not run the 'zadd' command", "password": "wrong user name"}
    assert expected[what] in explain(caught.value, "there")
    assert_sound(dump(rig.store), max_reaps=CONFIG.worker.max_reaps)

    server.call("ACL", "SETUSER", "worker", "resetpass", ">old", "+zadd")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trioq.Engine(again_app(), config, report=rig.report).run)
        await rig.until(lambda: done(rig) == len(uids))
        nursery.cancel_scope.cancel()
    left = dump(rig.store)
    assert_sound(left, max_reaps=CONFIG.worker.max_reaps)
    assert not left.jobs


def again_app() -> trioq.App:
    """Its job is done the second time that it is run."""
    app, asleep = trioq.App(), set[str]()

    @app.job("again")
    async def again(job: trioq.Job) -> None:
        await trio.sleep(0.05)
        if job.uid not in asleep:
            asleep.add(job.uid)
            raise trioq.Snooze(0.1)

    return app
