"""Metrics tell of whole engines what the jobs had waited for that they ran."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import trioq
from tests.support import PATIENCE_S, Server
from trioq.core.config import Config, QueueConfig
from trioq.core.events import Event, JobSucceeded
from trioq.observe.fanout import to_all
from trioq.observe.metrics import Metrics

# What an answer says of this is lost with it.
pytestmark = [pytest.mark.trio, pytest.mark.direct]

CONFIG = """
namespace = "t"
queues = [{{ name = "low" }}]
redis.url = "{url}"
observability.bind = ""
[limits.all]
jobs = ["bound"]
concurrency = 1
"""


async def test_waits_for_limits_and_turns_are_told_apart(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(url=server.url))
    app, done, ends = trioq.App(), trio.Event(), list[Event]()

    @app.job("bound")
    async def bound() -> None: ...

    @app.job("plain")
    async def plain() -> None: ...

    with trioq.connect_sync(path) as client:
        for _ in range(3):
            client.enqueue("bound")
        client.enqueue("plain")
        client.enqueue("plain", fair_key="a")

    def note_end(event: Event) -> None:
        if isinstance(event, JobSucceeded):
            ends.append(event)
            if len(ends) == 5:
                done.set()

    metrics = Metrics(
        Config(queues=(QueueConfig("low"),)), {"bound": "low", "plain": "low"}, lambda: None
    )
    engine = trioq.Engine(app, path, report=to_all(metrics, note_end))
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        with trio.fail_after(PATIENCE_S):
            await done.wait()
        engine.drain()
    counts = {
        state: metrics.registry.get_sample_value(
            "trioq_job_wait_seconds_count", {"queue": "low", "state": state}
        )
        for state in ("ready", "limited", "fair")
    }
    assert counts == {"ready": 2, "limited": 2, "fair": 1}
