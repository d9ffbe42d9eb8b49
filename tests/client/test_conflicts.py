"""One id, and several enqueues with it: on a real server, from both clients, with jobs that run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trioq
from tests.client.test_client import configured
from tests.engine.rig import Rig, rig_on
from tests.faults.proxy import LoseReply, Proxy, Rule
from tests.store.drive import Driver
from tests.store.world import SECOND, Clock
from tests.support import PATIENCE_S, Server
from trioq.client.jobs import Drafts
from trioq.core.config import Config, QueueConfig, RedisConfig
from trioq.core.settlements import Ack
from trioq.errors import EnqueueUnknown, StoreUnreachable
from trioq.observe.tracing import Tracing
from trioq.store.connect import open_store

REPLACING = ("replace", "again", "supersede")
Enqueue = Callable[..., Awaitable[Any]]
Open = Callable[..., Any]


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    with rig_on(server) as made:
        yield made


def by(url: str, queue: QueueConfig | None = None) -> Config:
    """A configuration with this queue."""
    return Config(namespace="t", queues=(queue or QueueConfig("low"),), redis=RedisConfig(url=url))


@attrs.frozen
class Face:
    """A client, from trio."""

    client: Any
    is_async: bool

    async def __call__(self, method: str, *args: Any, **options: Any) -> Any:
        call = partial(getattr(self.client, method), *args, **options)
        return await (call() if self.is_async else trio.to_thread.run_sync(call))

    async def enqueue(self, n: int, *, name: str = "work", **options: Any) -> Any:
        return await self("enqueue", name, {"n": n}, **{"id": "x", "result": 60, **options})

    async def state(self, handle: Any) -> str:
        """How the job has ended."""
        state: str = (await self("wait", handle, PATIENCE_S)).state
        return state


@pytest.fixture(params=["trio", "sync"])
def opened(request: pytest.FixtureRequest) -> Open:
    @asynccontextmanager
    async def opens(config: Any) -> AsyncIterator[Face]:
        if request.param == "trio":
            async with trioq.connect(config) as client:
                yield Face(client, is_async=True)
        else:
            with trioq.connect_sync(config) as client:
                yield Face(client, is_async=False)

    return opens


@attrs.define
class Work:
    """A handler that stays in its first run until it is let go, and what it was given."""

    rig: Rig
    began: list[int] = attrs.field(factory=list[int])
    stopped: list[int] = attrs.field(factory=list[int])
    running: int = 0
    most: int = 0
    """Of them at the same time."""
    first: trio.Event = attrs.field(factory=trio.Event)
    go_on: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        @self.rig.app.job("work")
        async def work(n: int) -> None:
            self.began.append(n)
            self.running += 1
            self.most = max(self.most, self.running)
            self.first.set()
            try:
                await self.go_on.wait()
            except trio.Cancelled:
                self.stopped.append(n)
                raise
            finally:
                self.running -= 1


def payload(rig: Rig, uid: str) -> bytes:
    stored: bytes = rig.key("HGET", "jobs", uid)
    return stored.partition(b"\n")[2]


# -- one that waits ----------------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize("mode", REPLACING)
async def test_who_waits_gets_the_new_payload_and_time_and_stays_who_it_is(
    config: Path, rig: Rig, opened: Open, mode: str
) -> None:
    async with opened(config) as face:
        first = await face.enqueue(1, on_conflict=mode, delay=100)
        second = await face.enqueue(2, on_conflict=mode, delay=5000)
        assert (first.happened, first.is_new, first.existing) == ("queued", True, None)
        assert (second.happened, second.is_new, second.existing) == ("replaced", False, "live")
        assert (second.uid, second.queue) == (first.uid, "low")
        seconds, _ = rig.server.call("TIME")
        due_ms = float(rig.key("ZSCORE", "scheduled:low", first.uid))
        assert due_ms > (int(seconds) + 4000) * SECOND
        work = Work(rig)
        work.go_on.set()
        third = await face.enqueue(3, on_conflict=mode)
        assert third.uid == first.uid
        async with rig.running():
            assert await face.state(third) == "done"
    assert work.began == [3]


@pytest.mark.trio
async def test_nothing_changes_where_that_is_not_asked_for(
    config: Path, rig: Rig, opened: Open
) -> None:
    async with opened(config) as face:
        first = await face.enqueue(1)
        second = await face.enqueue(2)
        assert (second.uid, second.happened, second.existing) == (first.uid, "existing", "live")
        with pytest.raises(trioq.IdTaken, match=f"the id 'x' is job {first.uid}, live") as taken:
            await face.enqueue(3, on_conflict="raise")
        assert (taken.value.id, taken.value.handle.uid) == ("x", first.uid)
        assert payload(rig, first.uid) == b'{"n":1}'
        assert (await face.enqueue(3, on_conflict="raise", id="y")).happened == "queued"


@pytest.mark.trio
async def test_an_id_that_is_made_of_the_payload_is_as_good(
    config: Path, rig: Rig, opened: Open
) -> None:
    @rig.app.job("made", id_from=["n"])
    async def made(n: int, text: str = "") -> None: ...

    async with opened(config) as face:
        first = await face("enqueue", made.call(1, text="a"), debounce=60)
        second = await face("enqueue", made.call(1, text="b"), debounce=60)
    assert (second.uid, second.id, second.happened) == (first.uid, "made:[1]", "replaced")
    assert payload(rig, first.uid) == b'{"n":1,"text":"b"}'


# -- one that runs -----------------------------------------------------------------------------


@pytest.mark.trio
async def test_one_that_runs_is_run_once_more_with_the_newest_payload(
    config: Path, rig: Rig, opened: Open
) -> None:
    work = Work(rig)
    async with opened(config) as face, rig.running():
        first = await face.enqueue(1, on_conflict="again")
        await work.first.wait()
        second = await face.enqueue(2, on_conflict="again")
        assert (second.happened, second.is_new, second.existing) == ("again", True, None)
        assert second.uid != first.uid
        third = await face.enqueue(3, on_conflict="again")
        assert (third.happened, third.uid) == ("replaced", second.uid)
        told = await face("explain", second.uid)
        assert first.uid in " ".join(reason.says for reason in told.reasons)
        assert work.began == [1], "never beside each other"
        work.go_on.set()
        assert await face.state(first) == "done"
        assert await face.state(second) == "done"
        assert (work.began, work.stopped) == ([1, 3], [])
        fourth = await face.enqueue(4, on_conflict="again")
        assert fourth.happened == "queued", "the id is free once its job is over"


@pytest.mark.trio
async def test_one_that_runs_is_stopped_for_the_new_one(
    config: Path, rig: Rig, opened: Open
) -> None:
    work = Work(rig)
    async with opened(config) as face, rig.running():
        first = await face.enqueue(1, on_conflict="supersede")
        await work.first.wait()
        second = await face.enqueue(2, on_conflict="supersede")
        assert (second.happened, second.is_new) == ("superseded", True)
        end = await face("wait", first, PATIENCE_S)
        assert (end.state, end.reason) == ("cancelled", f"superseded by {second.uid}")
        work.go_on.set()
        assert await face.state(second) == "done"
    assert (work.began, work.stopped) == ([1, 2], [1])


@pytest.mark.trio
@pytest.mark.parametrize("how", [{"on_conflict": "again"}, {"debounce": 0.001}], ids=str)
async def test_two_never_run_at_once_also_where_the_next_one_was_cancelled(
    config: Path, rig: Rig, opened: Open, how: dict[str, Any]
) -> None:
    work = Work(rig)
    async with opened(config) as face, rig.running():
        await face.enqueue(1, **how)
        await work.first.wait()
        second = await face.enqueue(2, **how)
        assert await face("cancel", second) == "was_waiting"
        third = await face.enqueue(3, **how)
        assert third.happened == "queued"
        await rig.until(lambda: rig.key("ZCARD", "limited") or 3 in work.began)
        work.go_on.set()
        assert await face.state(third) == "done"
    assert (work.began, work.most) == ([1, 3], 1)


@pytest.mark.trio
async def test_one_that_runs_is_stopped_for_the_new_one_also_where_its_next_run_waits(
    config: Path, rig: Rig, opened: Open
) -> None:
    work = Work(rig)
    async with opened(config) as face, rig.running():
        first = await face.enqueue(1, on_conflict="again")
        await work.first.wait()
        second = await face.enqueue(2, on_conflict="again")
        third = await face.enqueue(3, on_conflict="supersede")
        assert (third.happened, third.is_new, third.uid) == ("superseded", False, second.uid)
        end = await face("wait", first, PATIENCE_S)
        assert (end.state, end.reason) == ("cancelled", f"superseded by {second.uid}")
        work.go_on.set()
        assert await face.state(third) == "done"
    assert (work.began, work.stopped) == ([1, 3], [1])


@pytest.mark.trio
async def test_one_that_runs_is_not_replaced(config: Path, rig: Rig, opened: Open) -> None:
    work = Work(rig)
    async with opened(config) as face, rig.running():
        first = await face.enqueue(1)
        await work.first.wait()
        second = await face.enqueue(2, on_conflict="replace")
        assert (second.happened, second.existing, second.uid) == ("existing", "live", first.uid)
        work.go_on.set()
        assert await face.state(first) == "done"
    assert work.began == [1]


@pytest.mark.trio
async def test_a_call_waits_for_the_run_that_it_has_asked_for(
    config: Path, rig: Rig, opened: Open
) -> None:
    go_on, began = trio.Event(), trio.Event()

    @rig.app.job("double")
    async def double(n: int) -> int:
        began.set()
        await go_on.wait()
        return 2 * n

    async with opened(config) as face, rig.running(), trio.open_nursery() as nursery:
        await face("enqueue", double.call(1), id="x", on_conflict="again")
        await began.wait()
        told: list[int] = []

        async def call() -> None:
            how = {"id": "x", "on_conflict": "again", "timeout": PATIENCE_S}
            told.append(await face("call", double.call(2), **how))

        nursery.start_soon(call)
        await rig.until(lambda: rig.stats().queues["low"].limited == 1)
        go_on.set()
    assert told == [4]


# -- one that is over --------------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize("how", [{"id_dead": "free"}, {"debounce": 0.001}], ids=["said", "mode"])
async def test_a_dead_job_keeps_its_id_or_loses_it(
    config: Path, rig: Rig, opened: Open, how: dict[str, Any]
) -> None:
    @rig.app.job("work", retry=trioq.Retry(max_attempts=1))
    async def work(n: int) -> None:
        if n == 1:
            raise ValueError

    async with opened(config) as face, rig.running():
        first = await face.enqueue(1)
        assert await face.state(first) == "dead"
        blocked = await face.enqueue(2, on_conflict="supersede", id_dead="block")
        assert (blocked.uid, blocked.happened, blocked.existing) == (first.uid, "existing", "dead")
        freed = await face.enqueue(2, **how)
        assert (freed.happened, freed.is_new) == ("queued", True)
        assert await face.state(freed) == "done"
        assert await face("status", first), "the dead one still lies there"
    assert rig.key("ZSCORE", "dead", first.uid) is not None


@pytest.mark.trio
async def test_a_dead_job_that_was_purged_loses_it_likewise(
    config: Path, rig: Rig, opened: Open
) -> None:
    @rig.app.job("work", retry=trioq.Retry(max_attempts=1))
    async def work(n: int) -> None:
        raise ValueError

    async with opened(config) as face, rig.running():
        first = await face.enqueue(1)
        assert await face.state(first) == "dead"
        store = rig.server.store("t")
        await trio.to_thread.run_sync(store.purge_dead, "s", 1, [first.uid])
        store.lane.close()
        assert (await face.enqueue(2)).existing == "dead"
        second = await face.enqueue(2, id_dead="free")
    assert (second.happened, second.uid == first.uid) == ("queued", False)


@pytest.mark.trio
async def test_an_id_is_remembered_for_as_long_as_its_enqueue_says(
    config: Path, rig: Rig, opened: Open
) -> None:
    work = Work(rig)
    work.go_on.set()
    async with opened(config) as face, rig.running():
        for options, happened in (
            ({}, "existing"), ({"id_retention": 0}, "queued"), ({"id_retention": "1h"}, "existing"),
            ({"cooldown": 60}, "existing"), ({"on_conflict": "replace"}, "queued"),
            ({"on_conflict": "supersede"}, "queued"), ({"debounce": 0.001}, "queued"),
            ({"id_dead": "free"}, "existing"),
            ({"on_conflict": "again", "id_retention": 60}, "existing"),
        ):  # fmt: skip
            id = str(options)
            assert await face.state(await face.enqueue(1, id=id, **options)) == "done"
            second = await face.enqueue(2, id=id, **options)
            assert second.happened == happened, options
            assert second.existing == (None if happened == "queued" else "done")


# -- by the server's clock ---------------------------------------------------------------------


@pytest.fixture
def timed(server: Server) -> Iterator[tuple[Clock, trioq.SyncClient, Driver]]:
    """A clock that stands still, a client that goes by it, and an engine."""
    config, clock = by(server.url), Clock()
    with open_store(config) as connector:
        connector.options = attrs.evolve(connector.options, clock_ms=clock)
        client = trioq.SyncClient(connector, Drafts(config, True), Tracing.open(config))
        yield clock, client, Driver(connector.store("engine"), ("low",))


@pytest.mark.direct
def test_the_last_call_wins_but_no_later_than_the_first_one_allows(timed: Any) -> None:
    clock, client, engine = timed
    how = {"id": "x", "debounce": 2, "max_wait": 5}
    began_ms = clock.ms
    first = client.enqueue("work", {"n": 0}, **how)
    for n in range(1, 5):
        clock.ms += 1_500
        assert engine.step(1) == (), "it is put off"
        assert client.enqueue("work", {"n": n}, **how).uid == first.uid
        if clock.ms == began_ms + 4_500:
            break
    clock.ms = began_ms + 5_000 - 1
    assert engine.step(1) == ()
    clock.ms += 1
    (claim,) = engine.step(1)
    assert (claim.uid, claim.stored.partition(b"\n")[2]) == (first.uid, b'{"n":3}')
    again = client.enqueue("work", {"n": 9}, **how)
    assert again.happened == "again", "what comes while it runs isn't lost"
    engine.step(0, Ack(first.uid, engine.n))
    assert engine.step(1) == ()
    clock.ms += 2_000
    assert [claim.uid for claim in engine.step(1)] == [again.uid]


@pytest.mark.direct
def test_nothing_of_an_id_comes_sooner_than_its_cooldown(timed: Any) -> None:
    clock, client, engine = timed
    first = client.enqueue("work", {}, id="x", cooldown="1m")
    engine.step(1)
    engine.step(0, Ack(first.uid, engine.n))
    clock.ms += 60 * SECOND - 1
    assert client.enqueue("work", {}, id="x", cooldown="1m").existing == "done"
    clock.ms += 1
    assert client.enqueue("work", {}, id="x", cooldown="1m").is_new


# -- what gets lost, and who meets -------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.direct
async def test_an_answer_that_gets_lost_changes_nothing(
    server: Server, rig: Rig, opened: Open
) -> None:
    work = Work(rig)
    with Proxy(server.direct) as proxy:
        rules = [proxy.on(LoseReply(), "enqueue", nth=3), proxy.on(LoseReply(), "replace")]
        there = by(proxy.url)
        async with opened(there) as face, rig.running():
            first = await face.enqueue(1, on_conflict="again")
            await work.first.wait()
            second = await face.enqueue(2, on_conflict="again")
            rules.append(proxy.on(LoseReply(), "replace"))
            third = await face.enqueue(3, on_conflict="again")
            assert (second.happened, third.happened) == ("again", "replaced")
            assert [rule.struck for rule in rules] == [1, 1, 1]
            work.go_on.set()
            assert await face.state(third) == "done"
    assert (work.began, first.uid != third.uid) == ([1, 3], True)


@pytest.mark.trio
@pytest.mark.direct
async def test_whether_it_was_replaced_is_unknown_where_no_answer_comes(
    server: Server, rig: Rig, opened: Open
) -> None:
    def strikes(name: str) -> Callable[[Any], bool]:
        return lambda call: call.name == name and "wish" in call.lane

    with Proxy(server.direct) as proxy:
        there = by(proxy.url)
        async with opened(there) as face:
            first = await face.enqueue(1, delay=60)
            how = {"id": "x", "on_conflict": "again", "timeout": 0.2, "delay": 60}
            rule = proxy.add(Rule(LoseReply(), strikes("replace"), times=None))
            with pytest.raises(EnqueueUnknown) as unknown:
                await face("call", "work", {"n": 2}, **how)
            assert unknown.value.uids == (first.uid,)
            assert payload(rig, first.uid) == b'{"n":2}', "it was"
            rule.times = rule.struck
            proxy.add(Rule(LoseReply(), strikes("hmget"), times=None))
            with pytest.raises(StoreUnreachable) as unreachable:
                await face("call", "work", {"n": 3}, **how)
            assert not unreachable.value.sent, "it was only looked at"
            assert payload(rig, first.uid) == b'{"n":2}'


@pytest.mark.trio
@pytest.mark.direct
async def test_whether_the_run_before_was_stopped_is_unknown_where_no_answer_comes(
    server: Server, rig: Rig, opened: Open
) -> None:
    engine = Driver(rig.store, ("low",))
    with Proxy(server.direct) as proxy:
        async with opened(by(proxy.url)) as face:
            await face.enqueue(1, on_conflict="again")
            engine.step(1)
            second = await face.enqueue(2, on_conflict="again")
            how = {"id": "x", "on_conflict": "supersede"}
            rule = proxy.add(Rule(LoseReply(), lambda call: call.name == "cancel", times=None))
            with pytest.raises(EnqueueUnknown) as unknown:
                await face("call", "work", {"n": 3}, **how, timeout=0.3)
            assert unknown.value.uids == (second.uid,)
            rule.times = rule.struck
            assert (await face.enqueue(3, on_conflict="supersede")).happened == "superseded"
    assert len(engine.ask().asks) == 1


@pytest.mark.trio
async def test_of_many_who_come_at_once_each_is_told_truly_and_one_waits(
    config: Path, rig: Rig, opened: Open
) -> None:
    work, handles = Work(rig), dict[int, Any]()

    async def come(face: Face, n: int) -> None:
        handles[n] = await face.enqueue(n, on_conflict="again")

    async with opened(config) as face, opened(config) as other, rig.running():
        await face.enqueue(0, on_conflict="again")
        await work.first.wait()
        async with trio.open_nursery() as nursery:
            for n in range(1, 9):
                nursery.start_soon(come, (face, other)[n % 2], n)
        made = [handle for handle in handles.values() if handle.is_new]
        assert [handle.happened for handle in made] == ["again"]
        assert {handle.uid for handle in handles.values()} == {made[0].uid}
        work.go_on.set()
        assert await face.state(made[0]) == "done"
    assert len(work.began) == 2
    assert rig.key("HLEN", "jobs") == 0


@pytest.mark.trio
@pytest.mark.direct
async def test_who_takes_an_id_waits_for_room_like_anybody(
    server: Server, rig: Rig, opened: Open
) -> None:
    queue = QueueConfig("low", max_length=1, when_full="wait")
    there = by(server.url, queue)
    engine = Driver(rig.store, ("low",))
    async with opened(there) as face:
        first = await face.enqueue(1, on_conflict="again")
        engine.step(1)
        other = await face.enqueue(9, id=None)
        with pytest.raises(trioq.QueueFull):
            await face.enqueue(2, on_conflict="again", full_timeout=0)
        async with trio.open_nursery() as nursery:
            told: list[Any] = []

            async def come() -> None:
                told.append(await face.enqueue(2, on_conflict="again"))

            nursery.start_soon(come)
            await rig.until(lambda: rig.key("HLEN", "enqueuers") == 1)
            assert [claim.uid for claim in engine.step(1)] == [other.uid]
    assert [handle.happened for handle in told] == ["again"]
    assert rig.key("HGET", "ids", "x").decode() == told[0].uid != first.uid
