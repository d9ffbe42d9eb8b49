"""How far a job is, for whoever has its handle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trioq
from tests.client.test_client import configured
from tests.faults.proxy import LoseReply, Proxy
from tests.scene import Scene
from tests.store.drive import line
from tests.support import PATIENCE_S, Server, wait_until
from trioq.client import client as trio_client
from trioq.client import resend
from trioq.client.status import News, Status
from trioq.core.board import Board, said
from trioq.core.calls import Note
from trioq.core.config import Config, RedisConfig
from trioq.core.settlements import Ack, DeadLetter, Release, RetryAt


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@pytest.fixture
def client(config: Path) -> Iterator[trioq.SyncClient]:
    with trioq.connect_sync(config) as opened:
        yield opened


class Says:
    """An engine whose handlers say what a test wants."""

    def __init__(self, scene: Scene) -> None:
        self.driver = scene.driver
        self.board = Board()

    def claim(self, attempt: int = 1) -> None:
        (claim,) = self.driver.step(1)
        self.uid, self.n, self.attempt = claim.uid, self.driver.n, attempt
        self.board = Board()

    def says(self, fraction: float, text: str = "", data: Any = None, *log: str) -> None:
        self.board.said = said(fraction, text, data)
        for each in log:
            self.board.log(each)
        note = Note(self.uid, self.n, self.board.note(self.attempt))
        assert self.driver.store.note(self.driver.engine, [note]) == frozenset()

    def settle(self, kind: Callable[..., Any], *args: Any) -> None:
        self.driver.step(0, kind(self.uid, self.n, *args))


@pytest.fixture
def engine(scene: Scene) -> Says:
    return Says(scene)


def shown(status: Status) -> tuple[Any, ...]:
    return status.state, status.attempt, status.progress, status.text, status.log, status.error


def test_a_status_tells_of_the_run_that_goes_on_or_of_the_last_one(
    client: trioq.SyncClient, engine: Says
) -> None:
    handle = client.enqueue("convert", {})
    assert shown(handle.status()) == ("ready", 0, None, "", (), "")
    engine.claim()
    assert shown(handle.status()) == ("running", 1, None, "", (), "")
    engine.says(0.5, "half", {"page": 7}, "one", "two")
    status = handle.status()
    assert shown(status) == ("running", 1, 0.5, "half", ("one", "two"), "")
    assert (status.data, status.logged, status.has_ended) == ({"page": 7}, 2, False)
    assert status.said_ms == engine.board.said.at_ms  # type: ignore[union-attr]
    engine.settle(RetryAt, 0, 1, line("no"))
    assert shown(handle.status()) == ("ready", 1, 0.5, "half", ("one", "two"), "ValueError: no")
    engine.claim(2)
    assert shown(handle.status()) == ("running", 2, None, "", (), "ValueError: no")
    engine.says(0.25)
    assert shown(handle.status()) == ("running", 2, 0.25, "", (), "ValueError: no")
    engine.settle(Release)
    assert shown(handle.status()) == ("ready", 2, 0.25, "", (), "ValueError: no")
    engine.claim(2)
    engine.says(0.75, "more")
    engine.settle(DeadLetter, 2, "failures", line("never", 2))
    status = handle.status()
    assert shown(status) == ("dead", 2, 0.75, "more", (), "ValueError: never")
    assert (status.reason, status.has_ended) == ("failures", True)


def test_a_job_that_was_never_there_has_ended_as_far_as_anybody_knows(
    client: trioq.SyncClient,
) -> None:
    (status,) = trioq.SyncHandle("0" * 32, client=client).follow()
    assert (status.state, status.has_ended) == ("unknown", True)


def test_who_follows_sees_each_change_and_the_end(client: trioq.SyncClient, engine: Says) -> None:
    handle = client.enqueue("convert", {})
    statuses = handle.follow()
    assert next(statuses).state == "ready"
    engine.claim()
    assert next(statuses).state == "running"
    engine.says(0.5)
    assert next(statuses).progress == 0.5
    engine.says(0.75)
    engine.settle(Ack, b"")
    assert [status.has_ended for status in statuses] == [True]


def test_who_follows_has_engines_tell_and_who_asks_once_does_not(
    client: trioq.SyncClient, scene: Scene
) -> None:
    handle, watched = client.enqueue("convert", {}), scene.store.keys.fixed("watched")
    handle.status()
    assert not scene.store.lane.call("EXISTS", watched)
    next(handle.follow())
    assert 5_000 < scene.store.lane.call("PTTL", watched) <= 10_000


@pytest.mark.trio
async def test_a_task_follows_likewise(config: Path, engine: Says) -> None:
    async with trioq.connect(config) as client:
        handle = await client.enqueue("convert", {})
        assert (await handle.status()).state == "ready"
        statuses = handle.follow()
        assert (await anext(statuses)).state == "ready"
        await trio.to_thread.run_sync(engine.claim)
        await trio.to_thread.run_sync(engine.says, 0.5)
        assert (await anext(statuses)).progress == 0.5
        await trio.to_thread.run_sync(engine.settle, Ack, b"")
        assert [status.has_ended async for status in statuses] == [True]


async def follow(handle: trioq.Handle[Any]) -> None:
    async for _ in handle.follow():
        pass


@pytest.mark.trio
async def test_one_who_follows_no_longer_leaves_at_once(config: Path) -> None:
    async with trioq.connect(config) as client:
        handle = await client.enqueue("convert", {})
        with trio.move_on_after(0.1) as scope:
            await follow(handle)
        assert scope.cancelled_caught


@pytest.mark.trio
async def test_who_follows_is_told_nothing_twice(
    config: Path, engine: Says, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trio_client, "LOOK_S", 0.01)
    watched, states = scene.store.keys.fixed("watched"), list[str]()

    def has_looked() -> bool:
        return scene.store.lane.call("EXISTS", watched) == 1

    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        handle = await client.enqueue("convert", {})

        async def follow() -> None:
            async for status in handle.follow():
                states.append(status.state)

        nursery.start_soon(follow)
        for _ in range(3):
            await trio.to_thread.run_sync(wait_until, has_looked)
            scene.store.lane.call("DEL", watched)
        await trio.to_thread.run_sync(engine.claim)
        await trio.to_thread.run_sync(wait_until, lambda: states[-1] == "running")
        await trio.to_thread.run_sync(engine.settle, Ack, b"")
    assert states[:2] == ["ready", "running"]
    assert len(states) == 3


@pytest.mark.trio
async def test_a_closed_client_is_followed_no_more(config: Path, engine: Says) -> None:
    async with trioq.connect(config) as client:
        statuses = (await client.enqueue("convert", {})).follow()
        await anext(statuses)
    with trio.fail_after(PATIENCE_S), pytest.raises(trioq.StoreClosed):
        await anext(statuses)


@pytest.mark.trio
async def test_who_follows_waits_while_redis_is_away(
    server: Server, engine: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "PATIENCE_S", 0.0)
    with Proxy(server.direct) as proxy:
        config = Config(namespace="t", redis=RedisConfig(url=proxy.url))
        async with trioq.connect(config) as client:
            statuses = (await client.enqueue("convert", {}, queue="low")).follow()
            assert (await anext(statuses)).state == "ready"
            lost = proxy.on(LoseReply(), "set")
            await trio.to_thread.run_sync(engine.claim)
            assert (await anext(statuses)).state == "running"
            await trio.to_thread.run_sync(engine.settle, Ack, b"")
            assert [status.has_ended async for status in statuses] == [True]
        assert lost.struck == 1


def test_of_a_log_only_what_is_new_is_told() -> None:
    news = News()

    def lines(attempt: int, logged: int, *log: str) -> tuple[str, ...]:
        return news.lines(Status("0", "running", attempt=attempt, log=log, logged=logged))

    assert lines(1, 0) == ()
    assert lines(1, 2, "a", "b") == ("a", "b")
    assert lines(1, 2, "a", "b") == ()
    assert lines(1, 5, "d", "e") == ("d", "e")  # c is forgotten already
    assert lines(1, 6, "e", "f") == ("f",)
    assert lines(2, 1, "g") == ("g",)
    assert lines(2, 3, "g", "h", "i") == ("h", "i")
    assert lines(2, 1, "j") == ("j",)  # it was given back, and runs again


def test_a_look_that_comes_between_tells_no_line_twice() -> None:
    news = News()
    seen = Status("u", "running", 0, attempt=1, log=("one",), logged=1)
    between = attrs.evolve(seen, log=(), logged=0, attempt=0)
    ended = attrs.evolve(seen, state="done", log=("one", "two"), logged=2)
    assert [news.lines(each) for each in (seen, between, ended)] == [("one",), (), ("two",)]
