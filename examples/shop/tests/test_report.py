"""A report each night, on the day before, as long as days are."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from shop.report import Report, midnight, nightly

from tests.outside import Outside
from trioq.testing import World

BERLIN = ZoneInfo("Europe/Berlin")
LEAPS = date(2024, 3, 31)
NEXT = date(2024, 4, 1)
FALLS_BACK = date(2024, 10, 27)


@pytest.mark.parametrize("day", [LEAPS, NEXT, FALLS_BACK], ids=str)
async def test_there_is_one_each_night(tq: World, day: date) -> None:
    ticks = tq.schedules.between(midnight(day), midnight(day + timedelta(days=1)))
    assert [name for _, name in ticks if name == "nightly"] == ["nightly"]


async def test_it_counts_what_was_paid_on_that_day(tq: World, outside: Outside) -> None:
    for hour in (0, 12, 23):
        placed = datetime(2024, 3, 31, hour, 59, tzinfo=BERLIN)
        order = outside.order(f"at {hour}", placed_at=placed.timestamp())
        outside.db.settle(order, "paid", "receipt")
    outside.order("unpaid", placed_at=placed.timestamp())
    assert await tq.perform(nightly.call(day=LEAPS)) == Report(LEAPS, 3, 5997)
    assert await tq.perform(nightly.call(day=NEXT)) == Report(NEXT, 0, 0)


async def test_the_owner_reads_of_the_day_before(tq: World, outside: Outside) -> None:
    await tq.advance(datetime(2024, 3, 31, 1, 30, tzinfo=BERLIN))
    await tq.start()
    await tq.advance("1h")  # at two the clocks leap to three
    assert outside.mails == ["The shop on 2024-03-30"]


async def test_nights_that_were_missed_are_made_up_for(tq: World, outside: Outside) -> None:
    await tq.advance(datetime(2024, 3, 28, 12, tzinfo=BERLIN))
    engine = await tq.start()
    await tq.advance("1m")
    engine.kill()
    await tq.advance("3d")
    await tq.start()
    await tq.advance("5m")
    assert sorted(outside.mails) == [f"The shop on 2024-03-{day}" for day in (28, 29, 30)]
