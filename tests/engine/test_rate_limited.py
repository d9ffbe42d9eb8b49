"""Limits that rest, because a handler has been told that it asks too often."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import trioq
from tests.engine.limited import limited, run_until
from tests.support import Server
from trioq.core.events import Event, JobFailed, JobSnoozed, LimitRests

pytestmark = pytest.mark.trio

LIMITS = """
[limits.all]
jobs = ["told"]
concurrency = 1
"""


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return limited(server, tmp_path, LIMITS)


async def test_a_limit_that_has_had_enough_rests_for_all_engines(config: Path) -> None:
    began, events = list[tuple[str, float]](), list[Event]()
    app, done = trioq.App(), trio.Event()

    @app.job("told")
    async def told(job: trioq.Job, tenant: str) -> None:
        began.append((tenant, trio.current_time()))
        assert job.attempt == 1, "it was no attempt"
        if len(began) == 1:
            raise trioq.RateLimited(0.5, limit="all")
        if len(began) == 4:
            done.set()

    with trioq.connect_sync(config) as client:
        for tenant in "abc":
            client.enqueue("told", {"tenant": tenant})
    engines = [trioq.Engine(app, config, report=events.append) for _ in range(2)]
    await run_until(done.wait, *engines)
    (_, at), *others = began
    assert [tenant for tenant, _ in began] == ["a", "a", "b", "c"], "in its place"
    assert others[0][1] - at >= 0.5, "nobody else began meanwhile"
    (rests,) = [event for event in events if isinstance(event, LimitRests)]
    assert (rests.name, rests.take, rests.for_s) == ("told", "all", 0.5)
    assert not any(isinstance(event, JobFailed) for event in events)


async def test_a_job_whose_payload_lies_apart_knows_what_it_took(config: Path) -> None:
    app, done, events = trioq.App(), trio.Event(), list[Event]()

    @app.job("told")
    async def told(text: str) -> None:
        if not any(isinstance(event, LimitRests | JobSnoozed) for event in events):
            raise trioq.RateLimited(0.01, limit="all")
        done.set()

    with trioq.connect_sync(config) as client:
        client.enqueue("told", {"text": 100_000 * "x"})
    engine = trioq.Engine(app, config, report=events.append)
    await run_until(done.wait, engine)
    assert any(isinstance(event, LimitRests) for event in events)


async def test_who_names_a_limit_that_its_job_took_nothing_of_waits_alone(config: Path) -> None:
    app, done, events = trioq.App(), trio.Event(), list[Event]()

    @app.job("told")
    async def told() -> None:
        if not any(isinstance(event, JobSnoozed) for event in events):
            raise trioq.RateLimited(0.01, limit="another")
        done.set()

    with trioq.connect_sync(config) as client:
        client.enqueue("told")
    engine = trioq.Engine(app, config, report=events.append)
    await run_until(done.wait, engine)
    assert not any(isinstance(event, LimitRests | JobFailed) for event in events)
