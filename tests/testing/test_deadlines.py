"""Deadlines and the times of what happens go by the world's clock."""

from __future__ import annotations

import time
from datetime import timedelta

import trio

from trioq import App
from trioq.core.config import Config
from trioq.core.events import JobCancelled
from trioq.core.wall import wall_s
from trioq.testing import World


async def test_a_deadline_passes_in_the_worlds_time(tq: World) -> None:
    @tq.app.job(timeout=7200)
    async def report() -> None:
        await trio.sleep(3600)

    late = await tq.client.enqueue(report.call(), delay=7200, deadline=tq.time + timedelta(hours=4))
    soon = await tq.client.enqueue(report.call(), deadline="30m")
    assert (await tq.drain()).cancelled == 1
    assert [(event.uid, event.reason) for event in tq.of(JobCancelled)] == [(soon.uid, "deadline")]
    assert [at for at, _ in tq.timed(JobCancelled)] == [1800]
    assert (await late.status()).state == "done"


async def test_what_has_expired_before_its_start_isnt_begun(tq: World) -> None:
    begun: list[str] = []

    @tq.app.job
    async def remind(who: str) -> None:
        begun.append(who)

    await tq.client.enqueue(remind.call("ada"), delay=60, expires=tq.time + timedelta(hours=1))
    await tq.client.enqueue(remind.call("bob"), expires=60)
    await tq.advance(120)
    assert (await tq.drain()).cancelled == 1
    assert begun == ["ada"]


async def test_a_jobs_times_are_the_worlds(tq: World) -> None:
    @tq.app.job
    async def note() -> None: ...

    began_ms = round(tq.time.timestamp() * 1000)
    handle = await tq.client.enqueue(note.call(), delay=3600)
    await tq.drain()
    status = await handle.status()
    assert status.enqueued_ms == began_ms
    assert status.ended_ms == began_ms + 3_600_000


def test_clocks_show_real_time_when_it_is_over(trioq_config: Config) -> None:
    world = World(App(), trioq_config)
    with world.clients.lead():
        assert wall_s() == world.time.timestamp()
    assert abs(wall_s() - time.time()) < 3600
    world.close()
