"""Engines with two versions of a handler, as in the middle of a deployment: what doesn't fit one is
run by the other, without an attempt, and dies where nobody is left whom it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.engine.test_mixed_engines import ALL, Fleet, Member, until
from tests.support import Server
from trioq.core.events import (
    JobDied,
    JobFailed,
    JobParked,
    JobSucceeded,
)
from trioq.core.formats import engine_info
from trioq.core.formats.engine_info import EngineInfo
from trioq.engine.handlers.signature import signature_of
from trioq.store.inspect import JobFilter, doors, explain, living_pages, stats
from trioq.store.inspect.sample import sample
from trioq.store.redis import RedisStore

pytestmark = pytest.mark.trio


@pytest.fixture
def fleet(server: Server, tmp_path: Path) -> Fleet:
    return Fleet(server, tmp_path)


def old(app: trioq.App, **options: Any) -> None:
    @app.job("send", **options)
    async def send(to: str) -> None:
        await trio.lowlevel.checkpoint()


def new(app: trioq.App, **options: Any) -> None:
    @app.job("send", **options)
    async def send(to: str, title: str = "hi") -> None:
        await trio.lowlevel.checkpoint()


def old_in_thread(app: trioq.App) -> None:
    @app.job("send")
    def send(to: str) -> None:
        pass


def other(app: trioq.App) -> None:
    @app.job("send")
    async def send(to: int) -> None:
        await trio.lowlevel.checkpoint()


def two(fleet: Fleet, *versions: Callable[[trioq.App], None], **keys: Any) -> list[Member]:
    members = [fleet.member(queues=ALL, **keys) for _ in versions]
    for member, version in zip(members, versions, strict=True):
        version(member.app)
    return members


def enqueue(fleet: Fleet, count: int, payload: Mapping[str, Any], **options: Any) -> list[str]:
    with trioq.connect_sync(fleet.members[0].path) as client:
        jobs = [client.enqueue("send", payload, **options) for _ in range(count)]
        return [job.uid for job in jobs]


TITLED = {"to": "a", "title": "t"}


async def test_jobs_with_a_new_field_are_run_by_who_knows_it_and_none_is_dead(fleet: Fleet) -> None:
    _, knows = two(fleet, old, new)
    async with fleet.running():
        uids = enqueue(fleet, 400, TITLED)
        await until(lambda: len(fleet.of(JobSucceeded)) == len(uids))
    assert sorted(event.uid for event in knows.of(JobSucceeded)) == sorted(uids)
    assert {event.attempt for event in fleet.of(JobSucceeded)} == {1}
    assert fleet.of(JobDied) == fleet.of(JobFailed) == []
    parked = [event.uid for event in fleet.of(JobParked)]
    assert len(parked) == len(set(parked)), "each moves once, not round and round"
    assert fleet.counted() == (400, 0, 0)


@pytest.mark.parametrize("version", [old_in_thread, lambda app: old(app, runtime="asyncio")])
async def test_so_it_is_where_the_old_one_runs_elsewhere(
    fleet: Fleet, version: Callable[[trioq.App], None]
) -> None:
    two(fleet, version, new)
    async with fleet.running():
        enqueue(fleet, 40, TITLED)
        await until(lambda: len(fleet.of(JobSucceeded)) == 40)
    assert fleet.of(JobDied) == []


@pytest.mark.direct
async def test_what_fits_nobody_is_tried_by_each_version_once_and_dies(fleet: Fleet) -> None:
    two(fleet, old, other, old)
    async with fleet.running():
        uids = enqueue(fleet, 5, TITLED)
        await until(lambda: len(fleet.of(JobDied)) == 5)
    assert {(event.reason, event.attempt) for event in fleet.of(JobDied)} == {("bad_payload", 1)}
    assert sorted(event.uid for event in fleet.of(JobParked)) == sorted(uids)


async def test_who_waits_for_another_version_is_told(fleet: Fleet) -> None:
    two(fleet, old)
    store = fleet.server.store("t")
    info = EngineInfo(
        name="newer", queues=("a", "b", "c"), names=("send",), lease_s=1e6,
        signatures={"send": "5e1f"},
    )  # fmt: skip
    store.register("newer.1", engine_info.encode(info))
    async with fleet.running():
        first, second, third = enqueue(fleet, 3, TITLED)
        await until(lambda: stats(store).parked and fleet.counted()[2] == 3)
        await until(lambda: sum(stats(store).parked.values()) == 3)
        (door,) = doors(store, stats(store))
        mine = signature_of(fleet.members[0].app.handlers["send"])
        assert (door.name, door.parked, door.why, door.unfit) == ("send", 3, (), (mine,))
        assert door.reasons == "they wait for the engines with another version of send"
        assert {each.uid for each in listed(store, "send")} == {first, second, third}
        why = explain(store, first).reasons
        assert [each.why for each in why] == ["unfit_payload"]
        assert why[0].says.endswith("waits for an engine with another version of it: newer")
        with trioq.connect_sync(fleet.members[0].path) as client:
            assert client.cancel(first) == "was_waiting"
        assert sum(stats(store).parked.values()) == 2
        store.sign_off("newer.1")
        (door,) = doors(store, stats(store))
        assert door.why == ("unfit_payload",)
        assert explain(store, second).reasons[0].why == "unfit_payload"
        assert sample(store, ["c"]).waiting["c", "unfit_payload"].jobs == 2
    assert fleet.of(JobDied) == []
    store.lane.close()


def listed(store: RedisStore, name: str) -> list[Any]:
    return [job for page in living_pages(store, JobFilter(name=name)) for job in page.jobs]
