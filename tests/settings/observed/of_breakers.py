"""When failing handlers are left alone."""

from __future__ import annotations

import zipfile

import trio

import trioq
from tests.settings.observed.place import Place, row
from trioq.core.events import BreakerChanged, JobDied, JobSucceeded


def sometimes(place: Place) -> None:
    """A handler that fails if it is told to, once."""

    @place.app.job("sometimes", retry=trioq.Retry(max_attempts=1))
    async def sometimes(fails: bool) -> None:
        if fails:
            raise RuntimeError("no")


def run(place: Place, *, fails: bool) -> None:
    place.enqueue("sometimes", {"fails": fails})


@row("circuit_breaker.failure_threshold", 0.25)
async def failure_threshold(place: Place) -> None:
    place.configure(circuit_breaker__min_samples=4)
    sometimes(place)
    async with place.running():
        for n in range(3):
            run(place, fails=False)
            await place.reported(JobSucceeded, n + 1)
        run(place, fails=True)
        await place.reported(BreakerChanged, after="open")


@row("circuit_breaker.window", "200ms")
async def window(place: Place) -> None:
    place.configure(circuit_breaker__min_samples=2)
    sometimes(place)
    async with place.running():
        run(place, fails=True)
        await place.reported(JobDied)
        await trio.sleep(0.4)
        run(place, fails=True)
        await place.reported(JobDied, 2)
    assert place.of(BreakerChanged) == [], "the first one is too long ago"


@row("circuit_breaker.cooldown", "100ms")
async def cooldown(place: Place) -> None:
    place.configure(circuit_breaker__min_samples=1)
    sometimes(place)
    async with place.running():
        run(place, fails=True)
        await place.reported(BreakerChanged, after="half_open")


@row("circuit_breaker.min_samples", 2)
async def min_samples(place: Place) -> None:
    place.configure()
    sometimes(place)
    async with place.running():
        run(place, fails=True)
        await place.reported(JobDied)
        assert place.of(BreakerChanged) == []
        run(place, fails=True)
        await place.reported(BreakerChanged, after="open")


async def opened_after(place: Place, failures: int, **others: object) -> None:
    """It opens with this failure, and not before."""
    place.configure(breakers__told__jobs=["sometimes"], **others)
    sometimes(place)
    async with place.running():
        for n in range(1, failures + 1):
            assert place.of(BreakerChanged) == []
            run(place, fails=True)
            await place.reported(JobDied, n)
        await place.reported(BreakerChanged, name="told", after="open")


@row("breakers.NAME.jobs", ["sometimes"])
async def jobs(place: Place) -> None:
    place.configure(circuit_breaker__min_samples=1)
    sometimes(place)
    async with place.running():
        run(place, fails=True)
        await place.reported(BreakerChanged, name="told", after="open")


@row("breakers.NAME.on", ["LookupError", "zipfile.BadZipFile"])
async def named_on(place: Place) -> None:
    place.configure(breakers__told__jobs=["sometimes"], circuit_breaker__min_samples=1)
    unfit = [RuntimeError("no"), ValueError("no"), OSError("no")]
    raised: list[Exception] = [*unfit, zipfile.BadZipFile("no")]

    @place.app.job(
        "sometimes", retry=trioq.Retry(max_attempts=1), breaker=trioq.Breaker(on=OSError)
    )
    async def sometimes(nth: int) -> None:
        raise raised[nth]

    async with place.running():
        for nth in range(len(unfit)):
            place.enqueue("sometimes", {"nth": nth})
            await place.reported(JobDied, nth + 1)
        assert place.of(BreakerChanged) == []
        place.enqueue("sometimes", {"nth": len(unfit)})
        await place.reported(BreakerChanged, name="told", after="open")


@row("breakers.NAME.min_samples", 2)
async def named_min_samples(place: Place) -> None:
    await opened_after(place, 2, circuit_breaker__min_samples=1)


@row("breakers.NAME.failure_threshold", 0.25)
async def named_threshold(place: Place) -> None:
    place.configure(breakers__told__jobs=["sometimes"], circuit_breaker__min_samples=4)
    sometimes(place)
    async with place.running():
        for n in range(3):
            run(place, fails=False)
            await place.reported(JobSucceeded, n + 1)
        run(place, fails=True)
        await place.reported(BreakerChanged, name="told", after="open")


@row("breakers.NAME.window", "200ms")
async def named_window(place: Place) -> None:
    place.configure(breakers__told__jobs=["sometimes"], circuit_breaker__min_samples=2)
    sometimes(place)
    async with place.running():
        run(place, fails=True)
        await place.reported(JobDied)
        await trio.sleep(0.4)
        run(place, fails=True)
        await place.reported(JobDied, 2)
    assert place.of(BreakerChanged) == [], "the first one is too long ago"


@row("breakers.NAME.cooldown", "100ms")
async def named_cooldown(place: Place) -> None:
    place.configure(breakers__told__jobs=["sometimes"], circuit_breaker__min_samples=1)
    sometimes(place)
    async with place.running():
        run(place, fails=True)
        await place.reported(BreakerChanged, name="told", after="half_open")


@row("breakers.NAME.shared", True)
async def named_shared(place: Place) -> None:
    place.configure(breakers__told__jobs=["sometimes"], circuit_breaker__min_samples=2)
    sometimes(place)
    async with place.running(), place.running():
        run(place, fails=True)
        run(place, fails=True)
        await place.reported(BreakerChanged, 2, name="told", after="open")
