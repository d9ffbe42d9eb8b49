"""What goes wrong elsewhere, a test may let go wrong when it wants."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import trio

from tests.testing.jobs import put
from trioq import GiveUp, Job, PayloadRejected, Retry, RetryLater, Snooze, current_job
from trioq.core.events import JobFailed, JobStarted, JobSucceeded, RedisAway
from trioq.testing import Verdict, World


async def test_attempts_fail_before_the_handler_is_called(tq: World) -> None:
    ran: list[int] = []

    @tq.app.job(retry=Retry(max_attempts=3, base=1))
    def charge(job: Job) -> None:
        ran.append(job.attempt)

    tq.fail(charge, times=2, error=TimeoutError("the bank"))
    put(tq, "charge")
    assert (await tq.drain()).done == 1
    assert ran == [3]
    assert [event.error.message for event in tq.of(JobFailed)] == ["the bank"] * 2


async def test_in_an_outage_jobs_go_on_and_what_came_of_them_is_told_after_it(tq: World) -> None:
    @tq.app.job
    async def charge() -> None:
        await trio.sleep(1)

    await tq.start()
    put(tq, "charge")
    await tq.reported(JobStarted)
    with tq.outage():
        await tq.advance(30)
        assert tq.of(JobSucceeded)
        assert tq.enqueued("charge", state="running")
    await tq.drain()
    assert not tq.enqueued("charge")


async def test_an_outage_ends_by_itself(tq: World) -> None:
    @tq.app.job
    async def charge() -> None: ...

    await tq.start()
    tq.outage("1m")
    put(tq, "charge")
    await tq.drain()
    assert 60 <= tq.timed(JobSucceeded)[0][0] < 70
    assert tq.of(RedisAway)


async def test_one_attempt_gives_what_the_handler_returns_or_raises(tq: World) -> None:
    @tq.app.middleware
    async def around(job: Job):  # type: ignore[no-untyped-def]
        seen.append(job.attempt)
        yield

    seen: list[int] = []

    @tq.app.job(timeout=10)
    async def charge(job: Job, order: int) -> int:
        if order == 0:
            await trio.sleep(20)
        if order < 0:
            raise ValueError(order)
        assert current_job() is job
        return order * 2

    @tq.app.job
    def reckon(order: int) -> int:
        return order * 3

    assert await tq.perform(charge.call(order=4), attempt=3) == 8
    assert await tq.perform(reckon.call(order=4)) == 12
    assert seen == [3, 1]
    with pytest.raises(ValueError, match="-1"):
        await tq.perform(charge.call(order=-1))
    with pytest.raises(TimeoutError):
        await tq.perform(charge.call(order=0))
    assert not tq.enqueued()


async def test_what_a_handler_says_itself_is_a_verdict(tq: World) -> None:
    @tq.app.job
    async def say(what: str) -> None:
        raise {"later": RetryLater(60), "no": GiveUp("never"), "wait": Snooze(30)}[what]

    assert await tq.perform(say.call("later")) == Verdict(
        "retry", 60, "the handler asked to be run again later"
    )
    assert await tq.perform(say.call("no")) == Verdict("dead", None, "never")
    assert await tq.perform(say.call("wait")) == Verdict("snooze", 30)


async def test_what_waits_does_not_run_with_it(tq: World) -> None:
    ran: list[int] = []

    @tq.app.job
    async def charge(order: int) -> None:
        ran.append(order)

    put(tq, "charge", order=1)
    await tq.perform(charge.call(order=2))
    assert ran == [2]


async def test_schedules_do_not_tick_beside_it(tq: World) -> None:
    ran: list[str] = []

    @tq.app.schedule(every=60)
    @tq.app.job
    async def tick() -> None:
        ran.append("tick")

    @tq.app.job
    async def long() -> str:
        await trio.sleep(250)
        return "long"

    assert await tq.perform(long.call()) == "long"
    assert ran == []


async def test_time_passes_until_a_moment(tq: World) -> None:
    await tq.advance(datetime(2024, 3, 31, 3, tzinfo=ZoneInfo("Europe/Berlin")))
    assert tq.time == datetime(2024, 3, 31, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="has passed"):
        await tq.advance(datetime(2024, 3, 30, tzinfo=UTC))


async def test_a_payload_that_does_not_fit_is_refused_as_by_an_engine(tq: World) -> None:
    @tq.app.job
    async def charge(order: int) -> None: ...

    call = charge.call(order=1)
    call.payload["order"] = "seven"
    with pytest.raises(PayloadRejected, match="order"):
        await tq.perform(call)
