"""What a test lets go wrong goes wrong for all whom it concerns, and as often as it says."""

from __future__ import annotations

import pytest

from tests.support import new_job
from tests.testing.jobs import put
from trioq import Job, Retry, RetryLater
from trioq.core.events import JobStarted
from trioq.errors import StoreUnreachable
from trioq.testing import Verdict, World
from trioq.testing.link import Fate


async def test_who_comes_in_an_outage_reaches_nobody_until_it_ends(tq: World) -> None:
    tq.outage("5m")
    link = tq.link()
    assert link.is_cut
    with pytest.raises(StoreUnreachable):
        link.now_ms()
    await tq.advance("299s")
    assert link.is_cut
    await tq.advance(1)
    assert link.now_ms()


def test_a_request_that_gets_lost_does_nothing_and_one_whose_reply_does_has_done_it(
    tq: World,
) -> None:
    link = tq.link()
    fates: list[tuple[Fate, int]] = [("request", 0), ("reply", 1)]
    for number, (fate, there) in enumerate(fates, 1):
        link.on_call = lambda name, fate=fate: fate  # type: ignore[misc]
        with pytest.raises(StoreUnreachable, match=fate):
            link.enqueue("sender", number, [new_job("default", "charge")])
        assert tq.space.alive == there


def test_who_goes_on_looks_for_what_it_may_have_missed(tq: World) -> None:
    link, rung = tq.link(), list[str]()
    link.on_ring(rung.append)
    link.freeze()
    put(tq, "charge")
    assert not rung
    link.thaw()
    assert rung


async def test_what_is_to_fail_adds_up(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=5, base=1))
    async def charge(job: Job) -> None: ...

    tq.fail(charge, times=2)
    tq.fail(charge, error=TimeoutError)
    put(tq, "charge")
    assert (await tq.drain()).retried == 3
    assert len(tq.of(JobStarted)) == 4


async def test_who_asks_for_one_attempt_too_many_is_told_that_its_job_is_dead(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=2))
    async def charge() -> None:
        raise RetryLater(60)

    verdict = await tq.perform(charge.call(), attempt=2)
    assert isinstance(verdict, Verdict)
    assert (verdict.word, verdict.again_in_s) == ("dead", None)
