"""``client.schedules``: what programs put at run time, from trio and from ordinary code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import trioq
from tests.support import Server
from trioq.core.schedules.listed import Listed, SaidList
from trioq.core.schedules.when import Cron, Every
from trioq.errors import PayloadRejected, QueueUnknown


@pytest.fixture
def client(server: Server) -> Iterator[trioq.SyncClient]:
    with trioq.connect_sync(url=server.url, namespace="t") as client:
        yield client


def test_what_is_put_is_there_until_it_is_removed(client: trioq.SyncClient) -> None:
    its = client.schedules
    assert its.put("nightly", "report", {"kind": "daily"}, cron="0 3 * * *", tz="Europe/Berlin")
    assert not its.put("nightly", "report", {"kind": "daily"}, cron="0 3 * * *", tz="Europe/Berlin")
    (view,) = its.list()
    assert view == its.get("nightly")
    assert view.schedule is not None
    assert isinstance(view.schedule.when, Cron)
    assert (view.schedule.job, view.schedule.payload) == ("report", b'{"kind":"daily"}')
    assert (view.owner, view.app, view.state) == ("runtime", None, "")
    assert view.next_ms is not None
    assert its.put("nightly", "report", every="15m")
    changed = its.get("nightly")
    assert changed is not None
    assert changed.schedule is not None
    assert changed.schedule.when == Every(900_000)
    assert its.remove("nightly")
    assert not its.remove("nightly")
    assert (its.list(), its.get("nightly")) == ([], None)


@pytest.mark.trio
async def test_from_trio_it_is_the_same(server: Server) -> None:
    async with trioq.connect(url=server.url, namespace="t") as client:
        its = client.schedules
        assert await its.put("often", "report", every=60, overlap="queue_one")
        (view,) = await its.list()
        assert view == await its.get("often")
        assert await its.pause("often", note="why")
        paused = await its.get("often")
        assert paused is not None
        assert paused.paused is not None
        assert (paused.state, paused.paused.note) == ("paused", "why")
        assert await its.resume("often")
        handle = await its.run("often")
        assert (await client.status(handle)).state == "ready"
        assert await its.remove("often")


def test_a_pause_goes_with_its_schedule(client: trioq.SyncClient) -> None:
    client.schedules.put("often", "report", every=60)
    assert client.schedules.pause("often")
    client.schedules.remove("often")
    client.schedules.put("often", "report", every=60)
    view = client.schedules.get("often")
    assert view is not None
    assert view.paused is None


@pytest.mark.parametrize(
    ("times", "error", "says"),
    [
        ({}, ValueError, "expected one of cron, every and at, got none of them"),
        ({"cron": "* * *"}, ValueError, "cron: '* * *': expected five or six fields"),
        ({"cron": "* * * * *", "every": 1}, ValueError, "got cron and every"),
        ({"at": datetime(2040, 1, 1)}, ValueError, "at: 2040-01-01T00:00:00 names no time zone"),
        ({"at": datetime(2000, 1, 1, tzinfo=UTC)}, ValueError, "its time is over"),
        ({"cron": "* * * * *", "tz": "Mars"}, ValueError, "tz: expected a time zone"),
        ({"every": 1, "overlap": "no"}, ValueError, "overlap: expected one of allow, skip"),
        ({"every": 1, "misfires": "all"}, TypeError, "no argument 'misfires'; did you mean \"mis"),
        ({"every": 1, "queue": "a b"}, QueueUnknown, "queue is 'a b'"),
        ({"every": 1, "payload": {"a": float("nan")}}, (ValueError, PayloadRejected), "JSON"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_put(
    client: trioq.SyncClient, times: dict[str, Any], error: Any, says: str
) -> None:
    with pytest.raises(error) as refused:
        client.schedules.put("a", "report", **times)
    assert says in str(refused.value)
    assert client.schedules.list() == []


def test_a_name_is_one(client: trioq.SyncClient) -> None:
    with pytest.raises(ValueError, match="name: expected a name of 1 to 64"):
        client.schedules.put("a b", "report", every=1)


def test_what_deployments_list_can_be_paused_and_nothing_else(
    client: trioq.SyncClient, server: Server
) -> None:
    store = server.store("t")
    store.register("e.1", b"{}")
    client.schedules.put("theirs", "report", every=60)
    store.list_schedules("e.1", SaidList("app", "1", (Listed("listed", b"{}", None),)))
    for change in (
        lambda: client.schedules.remove("listed"),
        lambda: client.schedules.put("listed", "report", every=60),
    ):
        with pytest.raises(ValueError, match="is one of the app's: change it there"):
            change()
    assert client.schedules.pause("listed")


@pytest.mark.parametrize("verb", ["pause", "resume", "run"])
def test_of_one_that_isnt_there_that_is_said(client: trioq.SyncClient, verb: str) -> None:
    with pytest.raises(ValueError, match="there is no schedule 'nobodys'"):
        getattr(client.schedules, verb)("nobodys")
