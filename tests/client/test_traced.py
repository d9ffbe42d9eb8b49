"""Enqueues belong to the trace of whoever traces, where OpenTelemetry doesn't."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path

import pytest
import trio

import trioq
import trioq.aio
from tests.client.test_client import configured, greet
from tests.engine.rig import Rig, rig_on
from tests.support import Server
from trioq.core.formats.record import decode

Traced = Callable[[Callable[[], Mapping[str, str]]], None]

HERE = ContextVar("HERE", default="00-1-1-01")


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    with rig_on(server) as rig:
        yield rig


@pytest.fixture
def traced() -> Iterator[Traced]:
    yield trioq.trace_from
    trioq.trace_from(None)


def trace_of(rig: Rig, uid: str) -> Mapping[str, str]:
    return decode(uid, rig.key("HGET", "jobs", uid)).record.trace


def test_each_client_asks_where_it_is(config: Path, rig: Rig, traced: Traced) -> None:
    traced(lambda: {"traceparent": HERE.get(), "baggage": ""})
    made: list[str] = []

    async def in_asyncio() -> None:
        HERE.set("00-1-2-01")
        async with trioq.aio.connect(config) as client:
            made.append((await client.enqueue(greet.call("Ada"))).uid)

    async def in_trio() -> None:
        HERE.set("00-1-3-01")
        async with trioq.connect(config) as client:
            made.extend(each.uid for each in await client.enqueue_many([greet.call("Ada")]))

    with trioq.connect_sync(config) as client:
        made.append(client.enqueue(greet.call("Ada")).uid)
    asyncio.run(in_asyncio())
    trio.run(in_trio)
    traces = [trace_of(rig, uid) for uid in made]
    assert traces == [{"traceparent": f"00-1-{n}-01"} for n in (1, 2, 3)]


def test_who_is_asked_no_more_tells_nothing(config: Path, rig: Rig, traced: Traced) -> None:
    traced(lambda: {"traceparent": HERE.get()})
    trioq.trace_from(None)
    with trioq.connect_sync(config) as client:
        assert trace_of(rig, client.enqueue(greet.call("Ada")).uid) == {}


def test_a_job_carries_what_fits_and_no_more(config: Path, rig: Rig, traced: Traced) -> None:
    traced(lambda: {"traceparent": HERE.get(), "cookie": "secret", "baggage": "x" * 8193})
    with trioq.connect_sync(config) as client:
        uid = client.enqueue(greet.call("Ada")).uid
    assert trace_of(rig, uid) == {"traceparent": HERE.get()}


def test_a_tracer_that_fails_costs_no_job(
    config: Path, rig: Rig, traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    traced(lambda: {}["no such thing"])
    with trioq.connect_sync(config) as client, caplog.at_level(logging.ERROR):
        assert trace_of(rig, client.enqueue(greet.call("Ada")).uid) == {}
    assert "an enqueue belongs to no trace" in caplog.text
