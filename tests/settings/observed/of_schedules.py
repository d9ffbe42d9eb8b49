"""What makes jobs by the clock: the rows that engines put where all can see them."""

from __future__ import annotations

from typing import Any

from tests.settings.observed.place import Place, row
from trioq.core.formats import schedule
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.when import Cron, Every, Once

YEAR_2030_MS = 1_893_456_000_000


async def put_by_an_engine(place: Place, **others: Any) -> Schedule:
    """What all engines see of the schedule."""
    defaults = {"schedules__told__job": "told"}
    if not place.key.endswith((".cron", ".every", ".at")) and "cron" not in others:
        defaults["schedules__told__every"] = "1h"
    given = {f"schedules__told__{key}": value for key, value in others.items()}
    place.configure(**{**defaults, **given})

    @place.app.job("told")
    async def told(kind: str = "") -> None: ...

    async with place.running():
        with place.admin() as admin:
            await place.until(lambda: bool(admin.store.schedules(["told"])[0].row))
            return schedule.decode("told", admin.store.schedules(["told"])[0].row)


@row("schedules.NAME.cron", "0 3 * * *")
async def cron(place: Place) -> None:
    assert (await put_by_an_engine(place)).when == Cron("0 3 * * *")


@row("schedules.NAME.every", "15m")
async def every(place: Place) -> None:
    assert (await put_by_an_engine(place)).when == Every(900_000)


@row("schedules.NAME.at", "2030-01-01T01:00:00+01:00")
async def at(place: Place) -> None:
    assert (await put_by_an_engine(place)).when == Once(YEAR_2030_MS)


@row("schedules.NAME.tz", "Europe/Berlin")
async def tz(place: Place) -> None:
    when = (await put_by_an_engine(place, cron="0 3 * * *")).when
    assert when.after(YEAR_2030_MS) == YEAR_2030_MS + 2 * 3_600_000


@row("schedules.NAME.anchor", "1970-01-01T00:00:07Z")
async def anchor(place: Place) -> None:
    assert (await put_by_an_engine(place)).when == Every(3_600_000, 7000)


@row("schedules.NAME.job", "other")
async def job(place: Place) -> None:
    @place.app.job("other")
    async def other() -> None: ...

    assert (await put_by_an_engine(place)).job == "other"


@row("schedules.NAME.queue", "high")
async def queue(place: Place) -> None:
    assert (await put_by_an_engine(place)).queue == "high"


@row("schedules.NAME.payload", {"kind": "daily"})
async def payload(place: Place) -> None:
    assert (await put_by_an_engine(place)).payload == b'{"kind":"daily"}'


@row("schedules.NAME.misfire", "all")
async def misfire(place: Place) -> None:
    assert (await put_by_an_engine(place)).misfire == "all"


@row("schedules.NAME.misfire_grace", "5m")
async def misfire_grace(place: Place) -> None:
    assert (await put_by_an_engine(place)).grace_ms == 300_000


@row("schedules.NAME.overlap", "queue_one")
async def overlap(place: Place) -> None:
    assert (await put_by_an_engine(place)).overlap == "queue_one"


@row("schedules.NAME.jitter", "30s")
async def jitter(place: Place) -> None:
    assert (await put_by_an_engine(place)).jitter_ms == 30_000
