"""Jobs that arrive without what they take of limits: the first engine that claims one finds out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.engine.limited import limited, run_until
from tests.support import Server
from trioq.core.events import (
    Event,
    JobReleased,
    JobSucceeded,
)

pytestmark = pytest.mark.trio

LIMITS = """
[limits.each]
jobs = ["told"]
key = "tenant"
concurrency = 1
"""


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return limited(server, tmp_path, LIMITS)


def with_limits(config: Path, *names: str) -> Path:
    """The same with these alone."""
    head, _, each = config.read_text().partition("[limits.each]")
    of_all = '[limits.all]\nqueue = "low"\nconcurrency = 5\n'
    limits = {"all": of_all, "each": f"[limits.each]{each}"}
    path = config.with_name("-".join((*names, "q.toml")))
    path.write_text(head + "".join(limits[name] for name in names))
    return path


async def test_who_knows_no_limits_is_bound_by_them_all_the_same(
    server: Server, config: Path
) -> None:
    together, most, attempts = dict[str, int](), dict[str, int](), set[int]()
    app, events = trioq.App(), list[Event]()
    done = trio.Event()

    @app.job("told")
    async def told(job: trioq.Job, tenant: str) -> None:
        together[tenant] = together.get(tenant, 0) + 1
        most[tenant] = max(most.get(tenant, 0), together[tenant])
        attempts.add(job.attempt)
        await trio.sleep(0.01)
        together[tenant] -= 1

    def report(event: Event) -> None:
        events.append(event)
        if sum(isinstance(each, JobSucceeded) for each in events) == 20:
            done.set()

    async with trioq.connect(url=server.url, namespace="t") as client:
        for n in range(20):
            payload: dict[str, Any] = {"tenant": "ab"[n % 2]}
            await client.enqueue("told", payload, queue="low")
    assert server.call("EXISTS", "{t}:flow") == 0
    engines = [trioq.Engine(app, config, report=report) for _ in range(2)]
    await run_until(done.wait, *engines)
    assert most == {"a": 1, "b": 1}
    assert attempts == {1}, "to find out is no attempt"
    assert not any(isinstance(event, JobReleased) for event in events)
    assert server.call("EXISTS", "{t}:flow", "{t}:took", "{t}:slots", "{t}:limited") == 0


async def test_what_takes_nothing_runs_at_once(server: Server, config: Path) -> None:
    app, done = trioq.App(), trio.Event()

    @app.job("told")
    async def told(tenant: str | None = None) -> None:
        done.set()

    async with trioq.connect(url=server.url, namespace="t") as client:
        await client.enqueue("told", {}, queue="low")
    engine = trioq.Engine(app, config, report=lambda event: None)
    await run_until(done.wait, engine)
    assert int(server.call("HGET", "{t}:stats", "released") or 0) == 0


async def test_what_a_job_takes_already_is_not_all_that_it_may_lack(
    server: Server, config: Path
) -> None:
    """The client knows the queue's limit, the engine that of its handler, too."""
    known, all_of_it = with_limits(config, "all"), with_limits(config, "all", "each")
    together, most, attempts = 0, 0, set[int]()
    app, done = trioq.App(), trio.Semaphore(0)

    @app.job("told", limits=trioq.Limit("own", concurrency=2))
    async def told(job: trioq.Job, tenant: str) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        attempts.add(job.attempt)
        await trio.sleep(0.01)
        together -= 1
        done.release()

    async with trioq.connect(known) as client:
        for n in range(12):
            await client.enqueue("told", {"tenant": f"t{n}"}, queue="low")
    rows = server.call("HVALS", "{t}:flow")
    assert set(rows) == {b"\nall"}
    engine = trioq.Engine(app, all_of_it, report=lambda event: None)
    await run_until(done.acquire, engine, times=12)
    assert most == 2
    assert attempts == {1}
    assert int(server.call("HGET", "{t}:stats", "released")) == 12, "each once"


async def test_limits_that_are_gone_hinder_none_that_holds(server: Server, config: Path) -> None:
    """A deployment has renamed all of its eight limits while jobs waited."""
    old = "".join(f'[limits.old{n}]\nqueue = "low"\nconcurrency = 5\n' for n in range(8))
    before = config.with_name("before.toml")
    before.write_text(with_limits(config).read_text() + old)
    async with trioq.connect(before) as client:
        for _ in range(6):
            await client.enqueue("told", {}, queue="low")
    together, most = 0, 0
    app, done = trioq.App(), trio.Semaphore(0)

    @app.job("told", limits=trioq.Limit("new", concurrency=1))
    async def told() -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await trio.sleep(0.01)
        together -= 1
        done.release()

    engine = trioq.Engine(app, with_limits(config), report=lambda event: None)
    await run_until(done.acquire, engine, times=6)
    assert most == 1
