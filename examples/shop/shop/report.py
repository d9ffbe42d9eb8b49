"""Each night, what the day before has brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import trioq
from shop.app import Deps, app
from shop.mail import send

HERE = ZoneInfo("Europe/Berlin")


@dataclass
class Report:
    day: date
    orders: int
    cents: int


# Nights that were missed are made up for, all at once.
@app.schedule("30 2 * * *", tz=HERE.key, misfire="all", overlap="allow")
@app.job(queue="low", result="7d")
async def nightly(job: trioq.Job[Deps], day: date | None = None) -> Report:
    """Count a day, and tell the owner. By default the day before its tick: it may be late."""
    if day is None:
        day = (job.tick or datetime.now(UTC)).astimezone(HERE).date() - timedelta(days=1)
    count, cents = job.deps.db.sold(midnight(day), midnight(day + timedelta(days=1)))
    text = f"{count} orders, {cents / 100:.2f} euros"
    await job.client.enqueue(
        send.call("owner@example.com", f"The shop on {day}", text), id=f"mail:report:{day}"
    )
    return Report(day, count, cents)


def midnight(day: date) -> datetime:
    """When a day begins here; twice a year one has 23 hours, or 25."""
    return datetime.combine(day, time(), HERE)
