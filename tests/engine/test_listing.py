"""Engines of one deployment after the other, and the schedules that they list."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from tests.engine.virtual import World, calm
from trioq.app import App
from trioq.core.config import ScheduleConfig
from trioq.core.events import (
    ScheduleRetired,
    ScheduleTaken,
    ScheduleTicked,
    ScheduleUnlisted,
)

pytestmark = pytest.mark.trio

HOUR_S = 3600.0


def app_of(*schedules: str, every: str = "1m") -> App:
    """Its handler is run by these."""
    app = App()

    @app.job("report")
    async def report() -> None: ...

    for name in schedules:
        app.schedule(every=every, name=name)(report)
    return app


def standing(w: World) -> set[str]:
    """Schedules that have a next tick."""
    return set(w.dump().ticks)


async def test_what_an_app_and_a_configuration_list_makes_ticks(autojump_clock: Any) -> None:
    config = attrs.evolve(
        calm(), schedules={"nightly": ScheduleConfig(name="nightly", every_s=60, job="report")}
    )
    async with trio.open_nursery() as nursery:
        w = World(nursery, app_of("hourly"), config)
        await w.start()
        await trio.sleep(121)
        assert {event.schedule for event in w.of(ScheduleTicked)} == {"nightly", "hourly"}
        assert all(o == "fired" for event in w.of(ScheduleTicked) for o, _ in event.outcomes)
        nursery.cancel_scope.cancel()


async def test_what_the_next_deployment_leaves_out_ends_after_an_hour_and_is_told(
    autojump_clock: Any,
) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery)
        old = await w.start(app_of("kept", "left_out"))
        await trio.sleep(30)
        await w.start(app_of("kept"))
        await trio.sleep(30)
        assert [event.schedule for event in w.of(ScheduleUnlisted)] == ["left_out"] * 2, "by each"
        old.kill()
        await w.start(app_of("kept", "left_out"))  # an old pod is restarted
        await trio.sleep(HOUR_S - 60)
        assert standing(w) == {"kept", "left_out"}
        await trio.sleep(120)
        assert [event.schedule for event in w.of(ScheduleRetired)] == ["left_out"] * 2
        assert standing(w) == {"kept"}
        nursery.cancel_scope.cancel()


async def test_while_old_and_new_engines_live_the_newest_list_says_when(
    autojump_clock: Any,
) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery)
        await w.start(app_of("m", every="1m"))
        await trio.sleep(1)
        await w.start(app_of("m", every="10m"))
        await trio.sleep(HOUR_S)
        ticks = len(w.of(ScheduleTicked, schedule="m"))
        assert 5 <= ticks <= 8, "each ten minutes, whatever the old engine lists"
        nursery.cancel_scope.cancel()


async def test_a_clients_schedule_stays_and_the_engine_says_that_its_name_is_taken(
    autojump_clock: Any,
) -> None:
    async with trio.open_nursery() as nursery:
        w = World(nursery)
        w.store.put_schedule("client", 1, "m", b"mine", None)
        await w.start(app_of("m"))
        await trio.sleep(60)
        assert [event.schedule for event in w.of(ScheduleTaken)] == ["m"]
        assert w.dump().schedules["m"] == b"mine"
        nursery.cancel_scope.cancel()
