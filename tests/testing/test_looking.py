"""What is enqueued can be looked at, and what is missed is told with what comes nearest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest.mock import ANY
from uuid import UUID

import pytest

from tests.testing.jobs import put
from trioq.testing import World


@pytest.fixture
def shop(tq: World) -> World:
    @tq.app.job
    async def charge(order: int, amount: int = 5) -> None: ...

    @tq.app.job
    async def mail(to: str, key: UUID | None = None) -> None: ...

    put(tq, "charge", order=7, amount=5)
    put(tq, "charge", queue="urgent", order=8, amount=6)
    put(tq, "mail", to="ann", delay_ms=60_000)
    return tq


def test_jobs_are_found_by_handler_queue_state_and_fields(shop: World) -> None:
    charge, mail = shop.app.handlers["charge"].name, "mail"
    assert [job.payload["order"] for job in shop.enqueued(charge)] == [7, 8]
    assert [job.payload["order"] for job in shop.enqueued(charge, queue="urgent")] == [8]
    assert [job.name for job in shop.enqueued(state="scheduled")] == ["mail"]
    assert len(shop.enqueued(amount=6)) == 1
    (job,) = shop.assert_enqueued(mail, to=ANY)
    assert job.due == datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC) == shop.time + timedelta(0, 60)
    shop.assert_enqueued(count=3)
    shop.assert_not_enqueued(mail, to="bob")


def test_a_call_stands_for_its_handler_and_its_payload(tq: World) -> None:
    @tq.app.job
    async def mail(to: str, key: UUID) -> None: ...

    key = UUID(int=5)
    put(tq, "mail", to="ann", key=str(key))
    tq.assert_enqueued(mail.call("ann", key))
    tq.assert_enqueued(mail, key=key)
    tq.assert_not_enqueued(mail.call("ann", UUID(int=6)))


def test_what_comes_nearest_is_told_field_by_field(shop: World) -> None:
    with pytest.raises(AssertionError) as caught:
        shop.assert_enqueued("charge", queue="urgent", order=7)
    assert str(caught.value) == (
        "no job is enqueued: charge(order=7), queue 'urgent'\n"
        "the nearest:\n"
        "  charge(order=7, amount=5) in 'default', ready\n"
        "    queue is 'default', not 'urgent'\n"
        "  charge(order=8, amount=6) in 'urgent', ready\n"
        "    order is 8, not 7\n"
        "  mail(to='ann') in 'default', scheduled, due 2023-11-14 22:14:20\n"
        "    it is a job of 'mail', not of 'charge'\n"
        "    queue is 'default', not 'urgent'\n"
        "    there is no order, which should be 7"
    )


def test_too_many_and_too_few_are_told(shop: World) -> None:
    with pytest.raises(AssertionError, match="2 jobs are enqueued, and 1 should be: charge"):
        shop.assert_enqueued("charge", count=1)
    with pytest.raises(AssertionError, match="1 job is enqueued, and 2 should be: mail"):
        shop.assert_enqueued("mail", count=2)
    with pytest.raises(AssertionError, match="1 job is enqueued, and none should be: mail"):
        shop.assert_not_enqueued("mail")


def test_where_there_is_none_at_all_it_is_told(tq: World) -> None:
    @tq.app.job
    async def charge() -> None: ...

    with pytest.raises(AssertionError, match=r"charge.*\nand there is no other job"):
        tq.assert_enqueued("charge")


async def test_of_what_has_ended_it_is_told_that_it_has(shop: World) -> None:
    await shop.drain()
    with pytest.raises(AssertionError, match="it is done"):
        shop.assert_enqueued("charge")
    assert len(shop.enqueued("charge", state="done")) == 2
