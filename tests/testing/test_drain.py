"""What is enqueued is run until there is nothing more to run, in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio

from tests.testing.jobs import put
from trioq import App, GiveUp, Job, Limit, Retry, Snooze
from trioq.client.jobs import Drafts
from trioq.core.calls import Pausing
from trioq.core.config import Config, QueueConfig
from trioq.core.events import EngineStarted, JobSnoozed, JobStarted, JobSucceeded
from trioq.testing import JobsDied, NeverEnds, NothingMoves, World
from trioq.testing.moments import EPOCH


async def test_delays_and_retries_of_months_take_no_time(tq: World) -> None:
    day_s = 24 * 3600

    @tq.app.job(retry=Retry(max_attempts=3, base=day_s, cap=day_s, jitter=0.0))
    async def remind(job: Job) -> None:
        if job.attempt < 3:
            raise ConnectionError

    put(tq, "remind", delay_ms=60 * day_s * 1000)
    assert (await tq.drain()).done == 1
    assert [round(at / day_s) for at, _ in tq.timed(JobStarted)] == [60, 61, 62]


async def test_of_what_it_has_run_it_tells_how_it_ended(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=2, base=1))
    async def job(how: str) -> None:
        if how == "snooze" and not tq.of(JobSnoozed):
            raise Snooze(10)
        if how == "dead":
            raise ValueError

    for how in ("done", "dead", "snooze"):
        put(tq, "job", how=how)
    drained = await tq.drain(raises=False)
    assert (drained.done, drained.dead, drained.retried) == (2, 1, 1)
    assert drained.snoozed == 1


async def test_a_death_that_nobody_expects_is_a_failure_with_its_exception(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=1))
    async def charge(order: int) -> None:
        raise ValueError(f"order {order}")

    put(tq, "charge", order=7)
    put(tq, "charge", order=8)
    with pytest.raises(JobsDied, match="2 jobs died") as caught:
        await tq.drain()
    assert sorted(map(str, caught.value.exceptions)) == ["order 7", "order 8"]
    assert "of 'charge' in 'default' died at attempt 1" in caught.value.exceptions[0].__notes__[0]
    await tq.drain()  # told once


async def test_deaths_that_are_expected_are_none(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=1))
    async def charge() -> None:
        raise GiveUp("no such card")

    put(tq, "charge")
    with tq.deaths(charge, count=1, error=GiveUp) as died:
        await tq.drain()
    assert died[0].error.message == "no such card"


async def test_deaths_that_do_not_come_are_missed(tq: World) -> None:
    @tq.app.job
    async def charge() -> None: ...

    put(tq, "charge")
    told = "0 deaths of 'charge', and there should be some"
    with pytest.raises(AssertionError, match=told), tq.deaths(charge):
        await tq.drain()


async def test_of_other_deaths_than_those_expected_it_is_told(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=1))
    async def charge(kind: str) -> None:
        raise {"value": ValueError, "key": KeyError}[kind]

    put(tq, "charge", kind="value")
    put(tq, "charge", kind="key")
    with pytest.raises(JobsDied, match="a job died"), tq.deaths("charge", error=ValueError):
        await tq.drain()


async def test_until_a_time_jobs_that_are_due_later_stay(tq: World) -> None:
    @tq.app.job
    async def remind() -> None: ...

    put(tq, "remind", delay_ms=1_000_000)
    put(tq, "remind", delay_ms=3_000_000)
    assert (await tq.drain("30m")).done == 1
    assert tq.now == 1800
    assert (await tq.drain(tq.time + timedelta(minutes=10))).done == 0
    assert (await tq.drain()).done == 1
    assert tq.now == pytest.approx(3000)


async def test_until_something_is_so_jobs_that_are_due_later_stay(tq: World) -> None:
    @tq.app.job
    async def remind() -> None: ...

    for after_s in range(1, 4):
        put(tq, "remind", delay_ms=after_s * 60_000)
    assert (await tq.drain(lambda: len(tq.of(JobSucceeded)) == 2)).done == 2
    assert len(tq.enqueued("remind")) == 1


async def test_what_still_runs_at_that_time_is_given_back(tq: World) -> None:
    @tq.app.job(timeout=7200)
    async def count() -> None:
        await trio.sleep(3600)

    put(tq, "count")
    assert (await tq.drain("10m")).done == 0
    assert tq.now == pytest.approx(600)
    assert (await tq.drain()).done == 1
    assert tq.now == pytest.approx(4200)


async def test_jobs_that_are_due_later_need_not_be_waited_for(tq: World) -> None:
    @tq.app.job
    async def remind() -> None: ...

    put(tq, "remind", delay_ms=1_000_000)
    put(tq, "remind")
    assert (await tq.drain(scheduled=False)).done == 1
    assert tq.now < 1


async def test_it_is_told_why_jobs_wait_that_never_will_run(tq: World) -> None:
    @tq.app.job
    async def charge() -> None: ...

    put(tq, "charge", queue="urgent")
    tq.space.store.pause("test", 1, "urgent", True, Pausing(b'{"reason": "maintenance"}', 0))
    with pytest.raises(NothingMoves, match="paused"):
        await tq.drain()


async def test_a_job_of_a_name_that_nobody_knows_dies(tq: World) -> None:
    put(tq, "unheard_of")
    with pytest.raises(JobsDied, match="a job died") as caught:
        await tq.drain()
    assert "no engine has known 'unheard_of'" in str(caught.value.exceptions[0])


async def test_if_its_engine_is_killed_another_one_goes_on(tq: World) -> None:
    ran: list[int] = []

    @tq.app.job
    async def charge() -> None:
        ran.append(len(ran))
        if len(ran) == 1:
            tq.kill()
        await trio.sleep(1)

    put(tq, "charge")
    assert (await tq.drain()).done == 1
    assert ran == [0, 1]
    assert len(tq.of(EngineStarted)) == 2


async def test_it_is_done_by_the_engines_that_run(tq: World) -> None:
    engine = await tq.start()

    @tq.app.job
    async def charge() -> None: ...

    put(tq, "charge", queue="urgent")
    with pytest.raises(JobsDied):
        await tq.drain()  # it was registered too late
    assert engine.runs
    assert len(tq.of(EngineStarted)) == 1


ONE_QUEUE = (QueueConfig("default"),)


def test_schedules_tick_while_it_lasts_and_are_not_waited_for() -> None:
    app = App()

    @app.schedule(every="1h")
    @app.job
    async def report() -> None: ...

    @app.job
    async def remind() -> None: ...

    tq = World(app, Config(queues=ONE_QUEUE))
    put(tq, "remind", delay_ms=5 * 3600 * 1000)
    assert tq.run(tq.drain).done == 6
    ticks = [at for at, _ in tq.timed(JobSucceeded, name="report")]
    assert ticks == [(3600 - EPOCH.timestamp() % 3600) + 3600 * hour for hour in range(5)]


def test_a_limit_that_gives_one_an_hour_is_waited_for() -> None:
    app = App()

    @app.job(limits=Limit("hourly", rate="1/h"))
    async def report() -> None: ...

    tq = World(app, Config(queues=ONE_QUEUE))
    client = Drafts(tq.config, knows_queues=True)
    tq.space.store.enqueue("test", 1, [client.draft(report.call(), None) for _ in range(3)])
    assert tq.run(tq.drain).done == 3
    assert tq.now == pytest.approx(7200, abs=1)


async def test_what_goes_on_for_ever_is_told_with_its_handler(
    tq: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tq.app.job
    async def poll() -> None:
        raise Snooze(60)

    monkeypatch.setattr("trioq.testing.draining.MOST_RUNS", 50)
    put(tq, "poll")
    with pytest.raises(NeverEnds, match=r"'poll' has run 51 times, it is 2023-11-14 23:"):
        await tq.drain()
    began = tq.now
    drained = await tq.drain(until="2h")
    assert drained.snoozed > 50
    assert tq.now - began >= 7200


def test_a_time_of_real_clocks_is_gone_to_at_once() -> None:
    later = datetime(2031, 3, 30, 2, 30, tzinfo=UTC)
    app = App()

    @app.job
    async def remind() -> None: ...

    tq = World(app, Config(queues=(QueueConfig("default"),)))
    tq.sync_client.enqueue(remind.call(), at=later)
    assert tq.run(tq.drain).done == 1
    assert later <= tq.time < later + timedelta(seconds=1)
    tq.close()


def test_a_world_begins_when_one_says() -> None:
    begins = datetime(2026, 10, 25, 0, 59, 59, 999999, tzinfo=UTC)
    assert World(App(), Config(), begins=begins).time == begins.replace(microsecond=0)
    assert World(App(), Config()).time == EPOCH
    with pytest.raises(ValueError, match="has no zone"):
        World(App(), Config(), begins=datetime(2026, 10, 25))
