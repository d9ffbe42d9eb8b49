"""What jobs share over all engines: limits."""

from __future__ import annotations

import trio

import trioq
from tests.settings.observed.place import Place, row
from trioq.core.events import JobSucceeded

#: Jobs that are there before the engine is.
JOBS = 4


def counting(place: Place) -> list[int]:
    """A handler that tells how many of it run, whenever one begins."""
    together, now = list[int](), [0]

    @place.app.job("told")
    async def told(tenant: str = "") -> None:
        now[0] += 1
        together.append(now[0])
        await trio.sleep(0.05)
        now[0] -= 1

    return together


async def most_together(place: Place, *payloads: dict[str, str]) -> int:
    together = counting(place)
    for payload in payloads or ({},) * JOBS:
        place.enqueue("told", payload)
    async with place.running():
        await place.reported(JobSucceeded, len(payloads) or JOBS)
    return max(together)


async def started(place: Place) -> int:
    """How many of the jobs may start at once, at a rate at which no other does for an hour."""

    @place.app.job("told")
    async def told() -> None: ...

    for _ in range(JOBS):
        place.enqueue("told")
    async with place.running():
        await place.reported(JobSucceeded)
        with place.admin() as admin:
            await place.until(lambda: _waits_or_is_done(admin))
    return len(place.of(JobSucceeded))


def _waits_or_is_done(admin: trioq.Admin) -> bool:
    counted = admin.stats()
    return counted.queues["low"].limited + counted.counters.get("done", 0) == JOBS


@row("queues[].concurrency", 1)
async def concurrency_of_a_queue(place: Place) -> None:
    place.configure()
    assert await most_together(place) == 1


@row("queues[].rate", "1/h")
async def rate_of_a_queue(place: Place) -> None:
    place.configure()
    assert await started(place) == 1


@row("limits.NAME.jobs", ["told"])
async def jobs_of_a_limit(place: Place) -> None:
    place.configure(limits__told__concurrency=1)
    assert await most_together(place) == 1


@row("limits.NAME.queue", "low")
async def queue_of_a_limit(place: Place) -> None:
    place.configure(limits__told__concurrency=1)
    assert await most_together(place) == 1


@row("limits.NAME.concurrency", 2)
async def concurrency_of_a_limit(place: Place) -> None:
    place.configure(limits__told__jobs=["told"])
    assert await most_together(place) == 2


@row("limits.NAME.rate", "1/h")
async def rate_of_a_limit(place: Place) -> None:
    place.configure(limits__told__jobs=["told"])
    assert await started(place) == 1


@row("limits.NAME.burst", 3)
async def burst_of_a_limit(place: Place) -> None:
    place.configure(limits__told__jobs=["told"], limits__told__rate="1/h")
    assert await started(place) == 3


@row("limits.NAME.key", "tenant")
async def key_of_a_limit(place: Place) -> None:
    place.configure(limits__told__jobs=["told"], limits__told__concurrency=1)
    assert await most_together(place, {"tenant": "a"}, {"tenant": "b"}, {"tenant": "a"}) == 2
