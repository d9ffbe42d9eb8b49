"""Engines that differ, in one namespace: in queues, handlers, leases and limits.

Each is a real one with a configuration of its own, as in the middle of a deployment. No job is
lost, none is run by who shouldn't, and nobody takes the jobs of who lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import trio

import trioq
from tests.support import Server
from trioq.core.events import (
    BreakerChanged,
    EngineReaped,
    Event,
    JobDied,
    JobParked,
    JobStarted,
    JobSucceeded,
    ParkedExpired,
)
from trioq.settings.write import toml_value
from trioq.store.inspect import stats

E = TypeVar("E", bound=Event)
T = TypeVar("T")

QUICK = {"worker.lease": 0.6, "worker.heartbeat_interval": 0.15, "reaper.interval": 0.1}


async def until(what: Callable[[], T], timeout_s: float = 15.0) -> T:
    with trio.fail_after(timeout_s):
        while not (answer := what()):  # noqa: ASYNC110 (a server tells nobody)
            await trio.sleep(0.005)
    return answer


@attrs.define
class Member:
    """One engine of the fleet, and what it reports."""

    path: Path
    app: trioq.App = attrs.field(factory=trioq.App)
    events: list[Event] = attrs.field(factory=list[Event])
    engine: trioq.Engine | None = None

    def knows(self, *names: str) -> None:
        """Handlers that do nothing."""
        for name in names:

            @self.app.job(name)
            async def handler() -> None:
                await trio.lowlevel.checkpoint()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


@attrs.define
class Fleet:
    """Engines on one server."""

    server: Server
    directory: Path
    members: list[Member] = attrs.field(factory=list[Member])

    def member(self, **keys: Any) -> Member:
        """One with these keys in its configuration, with ``__`` for a dot."""
        given = {"namespace": "t", "redis.url": self.server.url, "observability.bind": ""}
        given |= {key.replace("__", "."): value for key, value in keys.items()}
        path = self.directory / f"{len(self.members)}.toml"
        path.write_text("".join(f"{key} = {toml_value(v)}\n" for key, v in given.items()))
        self.members.append(Member(path))
        return self.members[-1]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All of them, drained in the end."""
        async with trio.open_nursery() as nursery:
            for each in self.members:
                each.engine = trioq.Engine(each.app, each.path, report=each.events.append)
                await nursery.start(each.engine.run)
            yield
            for each in self.members:
                assert each.engine is not None
                each.engine.drain()

    def enqueue(self, name: str, count: int = 1, **options: Any) -> list[str]:
        with trioq.connect_sync(self.members[0].path) as client:
            return [client.enqueue(name, {}, **options).uid for _ in range(count)]

    def of(self, kind: type[E]) -> list[E]:
        return [event for each in self.members for event in each.of(kind)]

    def counted(self) -> tuple[int, int, int]:
        """Done; dead; anywhere."""
        store = self.server.store("t")
        now = stats(store)
        store.lane.close()
        return now.counters.get("done", 0), now.dead, now.records


@pytest.fixture
def fleet(server: Server, tmp_path: Path) -> Fleet:
    return Fleet(server, tmp_path)


ALL = [{"name": name} for name in "abc"]


@pytest.mark.trio
async def test_each_runs_what_is_in_its_queues_and_nothing_else(fleet: Fleet) -> None:
    fleet.member(queues=ALL, worker__count=1)
    one = fleet.member(queues=[{"name": "b"}])
    other = fleet.member(queues=[{"name": "c"}, {"name": "b"}])
    for each in fleet.members:
        each.knows("noop")
    async with fleet.running():
        uids = [uid for queue in "abc" for uid in fleet.enqueue("noop", 60, queue=queue)]
        await until(lambda: len(fleet.of(JobSucceeded)) == len(uids))
    assert sorted(event.uid for event in fleet.of(JobStarted)) == sorted(uids)
    assert {event.queue for event in one.of(JobStarted)} <= {"b"}
    assert {event.queue for event in other.of(JobStarted)} <= {"b", "c"}
    assert fleet.counted() == (180, 0, 0)


@pytest.mark.trio
async def test_a_queue_that_nobody_serves_keeps_its_jobs(fleet: Fleet) -> None:
    fleet.member(queues=[{"name": "a"}]).knows("noop")
    with trioq.connect_sync(url=fleet.server.url, namespace="t") as client:
        client.enqueue("noop", {}, queue="elsewhere")
        client.enqueue("noop", {}, queue="a")
    async with fleet.running():
        await until(lambda: fleet.of(JobSucceeded))
    assert fleet.counted() == (1, 0, 1)


@pytest.mark.trio
async def test_a_job_is_run_by_who_knows_its_name(fleet: Fleet) -> None:
    old, new = fleet.member(queues=ALL), fleet.member(queues=ALL)
    old.knows("both", "old")
    new.knows("both", "new")
    async with fleet.running():
        uids = [uid for n in range(60) for uid in fleet.enqueue(["both", "old", "new"][n % 3])]
        await until(lambda: len(fleet.of(JobSucceeded)) == len(uids))
    assert Counter(event.uid for event in fleet.of(JobStarted)) == Counter(uids)
    assert {event.name for event in old.of(JobStarted)} <= {"both", "old"}
    assert {event.name for event in new.of(JobStarted)} <= {"both", "new"}
    assert fleet.counted() == (60, 0, 0)


@pytest.mark.trio
async def test_what_one_does_not_know_never_expires_while_another_does(fleet: Fleet) -> None:
    hasty = fleet.member(queues=ALL, worker__unknown_name_after=0.05, **QUICK)
    knows = fleet.member(queues=ALL, worker__count=1)
    hasty.knows("other")
    gate = trio.Event()

    @knows.app.job("mine")
    async def mine() -> None:
        await gate.wait()

    async with fleet.running():
        fleet.enqueue("mine", 12)
        await until(lambda: hasty.of(JobParked))
        await trio.sleep(1.0)  # twenty times as long as an unknown name may wait
        gate.set()
        await until(lambda: len(fleet.of(JobSucceeded)) == 12)
    assert fleet.of(ParkedExpired) == []
    assert fleet.counted() == (12, 0, 0)


@pytest.mark.trio
async def test_an_engine_with_a_longer_lease_lives_among_others(fleet: Fleet) -> None:
    """Who beats seldom has said so; a shorter lease of somebody else's isn't its own."""
    slow = fleet.member(queues=ALL, worker__lease=60, worker__heartbeat_interval=15)
    quick = fleet.member(queues=ALL, **QUICK)
    quick.knows("other")
    gate = trio.Event()

    @slow.app.job("long")
    async def long() -> None:
        await gate.wait()

    async with fleet.running():
        fleet.enqueue("long")
        await until(lambda: slow.of(JobStarted))
        await trio.sleep(2.0)  # three leases of the other
        gate.set()
        await until(lambda: slow.of(JobSucceeded))
    assert fleet.of(EngineReaped) == []
    assert len(fleet.of(JobStarted)) == 1
    assert fleet.counted() == (1, 0, 0)


@pytest.mark.direct  # a reaper that loses its connection again and again begins anew each time
@pytest.mark.trio
async def test_a_dead_engine_with_a_shorter_lease_is_found_by_one_with_a_longer(
    fleet: Fleet,
) -> None:
    """After the longer lease, at the latest: who is patient takes nothing too early."""
    fleet.member(queues=ALL, **{**QUICK, "worker.lease": 1.5}).knows("noop")
    store = fleet.server.store("t")
    store.register("dead.b00t", b'{"name": "dead", "queues": [], "names": [], "lease_s": 0.1}')
    began = trio.current_time()
    async with fleet.running():
        await until(lambda: fleet.of(EngineReaped))
        assert trio.current_time() - began >= 1.5
    store.lane.close()


@pytest.mark.trio
async def test_a_breaker_of_one_is_not_the_others(fleet: Fleet) -> None:
    broken = fleet.member(queues=ALL, circuit_breaker__min_samples=1, worker__count=1)
    sound = fleet.member(queues=ALL, circuit_breaker__min_samples=1, worker__count=1)

    @broken.app.job("depends", retry=trioq.Retry(max_attempts=1000, base=0.01, cap=0.01))
    async def fails() -> None:
        raise ConnectionError("not from here")

    sound.knows("depends")
    async with fleet.running():
        fleet.enqueue("depends", 40)
        await until(lambda: len(fleet.of(JobSucceeded)) == 40)
    assert all(event in broken.of(BreakerChanged) for event in fleet.of(BreakerChanged))
    assert fleet.of(JobDied) == []
    assert fleet.counted() == (40, 0, 0)


@pytest.mark.trio
async def test_a_paused_queue_is_paused_for_all_and_the_others_are_not(fleet: Fleet) -> None:
    for queues in (ALL, [{"name": "b"}], [{"name": "c"}]):
        fleet.member(queues=queues).knows("noop")
    with trioq.connect_admin(fleet.members[0].path) as admin:
        admin.pause("b")
        async with fleet.running():
            for queue in "abc":
                fleet.enqueue("noop", 20, queue=queue)
            await until(lambda: len(fleet.of(JobSucceeded)) == 40)
            assert {event.queue for event in fleet.of(JobStarted)} == {"a", "c"}
            admin.resume("b")
            await until(lambda: len(fleet.of(JobSucceeded)) == 60)
    assert fleet.counted() == (60, 0, 0)


@pytest.mark.trio
async def test_namespaces_have_nothing_in_common(fleet: Fleet) -> None:
    mine, theirs = fleet.member(queues=ALL), fleet.member(queues=ALL, namespace="u", **QUICK)
    mine.knows("noop")
    theirs.knows("noop")
    async with fleet.running():
        fleet.enqueue("noop", 30)
        await until(lambda: len(mine.of(JobSucceeded)) == 30)
    assert theirs.of(JobStarted) == []
