"""Workers that all wait for jobs that only they could run: it is said, once, and only then."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest

from tests.engine import parents
from tests.engine.rig import Rig, config_of
from trioq.core.config.sections import ObservabilityConfig
from trioq.core.events import JobStarted, WaitsForItself
from trioq.engine.engine import Engine
from trioq.store.inspect import JobFilter, living_pages

pytestmark = pytest.mark.trio

KINDS = ["task", "several", "several_in_thread", "apart"]


@pytest.fixture
def rig(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    rig.app = parents.app if "apart" in request.node.name else parents.here
    serve(rig, "low")
    return rig


def serve(rig: Rig, *queues: str, workers: int = 2) -> None:
    """What engines that are started from now on do."""
    rig.config = attrs.evolve(
        config_of(queues, count=workers, runners=2),
        observability=ObservabilityConfig(bind="", queue_sample_interval_s=0.05),
    )


async def begin(rig: Rig, *waits: str, queue: str = "low", name: str = "task") -> None:
    """Have a worker begin to wait for a job in each of these queues."""
    began, waited = len(rig.of(JobStarted)), rig.key("HLEN", "waits")
    for wait in waits:
        payload = {"url": rig.server.url, "queue": wait}
        rig.enqueue(name, queue=queue, payload=payload)
    await rig.reported(JobStarted, began + len(waits))
    await rig.until(lambda: rig.key("HLEN", "waits") >= waited + len(waits))


async def looks(rig: Rig, *engines: Engine, count: int = 8) -> None:
    """Let each look so often."""
    for engine in engines:
        for _ in range(count):
            last = engine.status().seen
            await rig.until(lambda: engine.status().seen is not last)  # noqa: B023 - called here


def said(rig: Rig) -> list[tuple[Sequence[str], int]]:
    return [(event.queues, event.engines) for event in rig.of(WaitsForItself)]


def release(rig: Rig) -> None:
    """Nobody wants the children any more."""
    for page in living_pages(rig.store, JobFilter(name="child")):
        for job in page.jobs:
            assert job.record is not None
            rig.cancel(job.uid, name="child", queue=job.record.queue)


@pytest.mark.parametrize("name", KINDS)
async def test_workers_that_all_wait_for_their_own_queue_are_told_of_once_until_something_moves(
    rig: Rig, name: str
) -> None:
    async with rig.running() as engine:
        for times in (1, 2):
            await begin(rig, "low", "low", name=name)
            await rig.reported(WaitsForItself, times)
            await looks(rig, engine)
            assert said(rig) == [(("low",), 1)] * times
            release(rig)
            await rig.until(lambda: engine.status().running == 0)
            await looks(rig, engine, count=1)


async def test_a_worker_that_does_not_wait_can_run_what_others_wait_for(rig: Rig) -> None:
    serve(rig, "low", workers=3)
    async with rig.running() as engine:
        await begin(rig, "low", "low")
        await looks(rig, engine)
        assert said(rig) == []
        release(rig)


async def test_who_waits_for_a_queue_that_nobody_serves_waits_for_somebody(rig: Rig) -> None:
    async with rig.running() as engine:
        await begin(rig, "low", "elsewhere")
        await looks(rig, engine)
        assert said(rig) == []
        release(rig)


async def test_an_engine_with_a_free_worker_is_enough_until_that_waits_too(rig: Rig) -> None:
    async with rig.running() as first:
        await begin(rig, "low", "low")
        async with rig.running() as second:
            await looks(rig, first, second)
            assert said(rig) in ([], [(("low",), 1)]), "it may have been alone for long enough"
            rig.events.clear()
            await begin(rig, "low")
            await looks(rig, first, second)
            assert said(rig) == []
            await begin(rig, "low")
            await rig.reported(WaitsForItself, 2)
            await looks(rig, first, second)
            assert said(rig) == [(("low",), 2)] * 2, "each says so"
            release(rig)


async def test_engines_that_wait_for_each_others_queues_are_told_of(rig: Rig) -> None:
    serve(rig, "low", workers=1)
    async with rig.running():
        serve(rig, "high", workers=1)
        async with rig.running() as second:
            await begin(rig, "high", queue="low")
            await looks(rig, second)
            assert said(rig) == []
            await begin(rig, "low", queue="high")
            await rig.reported(WaitsForItself, 2)
            assert said(rig) == [(("high", "low"), 2)] * 2
            release(rig)
