"""Whatever a job dies of, a test that hasn't said that it expects this is told."""

from __future__ import annotations

import attrs
import pytest
import trio

from tests.testing.jobs import put
from trioq import GiveUp, Retry
from trioq.core.config import Config
from trioq.testing import JobsDied, World


@pytest.fixture
def trioq_config(trioq_config: Config) -> Config:
    return attrs.evolve(trioq_config, worker=attrs.evolve(trioq_config.worker, max_reaps=1))


async def test_a_job_that_dies_with_its_engine_is_told(tq: World) -> None:
    @tq.app.job
    async def crash() -> None:
        tq.kill()
        await trio.sleep_forever()

    put(tq, "crash")
    with pytest.raises(JobsDied, match="a job died") as caught:
        await tq.drain()
    assert "it was running when its engine died" in str(caught.value.exceptions[0])


async def test_each_job_that_waits_for_too_long_behind_a_door_is_told(tq: World) -> None:
    for _ in range(3):
        put(tq, "unheard_of")
    with pytest.raises(JobsDied, match="3 jobs died") as caught:
        await tq.drain()
    assert len(caught.value.exceptions) == 3


async def test_what_was_expected_is_expected_no_longer_than_was_said(tq: World) -> None:
    @tq.app.job(retry=Retry(max_attempts=1))
    async def charge() -> None:
        raise GiveUp("no such card")

    put(tq, "charge")
    with tq.deaths(charge) as died:
        await tq.drain()
    put(tq, "charge")
    with pytest.raises(JobsDied):
        await tq.drain()
    assert len(died) == 1
