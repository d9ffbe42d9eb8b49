"""When schedules come is told for any time, and they come then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from trioq import ConfigError
from trioq.core.config import Config, ScheduleConfig
from trioq.core.events import JobStarted
from trioq.testing import World


@pytest.fixture
def trioq_config(trioq_config: Config) -> Config:
    hourly = ScheduleConfig(name="hourly", every_s=3600, job="report")
    return attrs.evolve(trioq_config, schedules={"hourly": hourly})


@pytest.fixture
def nightly(tq: World) -> World:
    @tq.app.schedule("30 2 * * *", tz="Europe/Berlin", name="nightly")
    @tq.app.job
    async def report() -> None: ...

    return tq


def test_a_night_without_the_hour_has_its_tick_all_the_same(nightly: World) -> None:
    ticks = nightly.schedules.between("2025-03-29T00:00Z", "2025-03-31T12:00Z", "nightly")
    told = [tick.strftime("%d %H:%M %Z") for tick, _ in ticks]
    assert told == ["29 02:30 CET", "30 03:00 CEST", "31 02:30 CEST"]


def test_a_night_that_has_the_hour_twice_has_one_tick(nightly: World) -> None:
    ticks = nightly.schedules.between("2025-10-25T00:00Z", "2025-10-27T12:00Z", "nightly")
    assert [tick.day for tick, _ in ticks] == [25, 26, 27]


def test_those_of_the_configuration_and_of_the_app_are_told_in_order(nightly: World) -> None:
    first, last = datetime(2025, 1, 1, 0, tzinfo=UTC), datetime(2025, 1, 1, 3, tzinfo=UTC)
    ticks = nightly.schedules.between(first, last)
    assert [name for _, name in ticks] == ["hourly", "hourly", "nightly", "hourly", "hourly"]
    assert ticks[0][0] == first
    assert ticks[-1][0] == last


def test_what_cannot_be_told_is_refused(nightly: World) -> None:
    between = nightly.schedules.between
    with pytest.raises(ValueError, match="there is no schedule 'daily'; there are: 'hourly'"):
        between("2025-01-01T00:00Z", "2025-01-02T00:00Z", "daily")
    with pytest.raises(ValueError, match="has no zone"):
        between("2025-01-01", "2025-01-02")
    with pytest.raises(ValueError, match="more than 100000 ticks"):
        between("2000-01-01T00:00Z", "2025-01-02T00:00Z")


async def test_they_come_when_they_should_while_engines_run(nightly: World) -> None:
    await nightly.start()
    began = nightly.time
    await nightly.advance(began + timedelta(days=3))
    ticks = nightly.schedules.between(began, nightly.time)
    assert len(ticks) == 3 + 72
    started = [round(at) for at, _ in nightly.timed(JobStarted)]
    assert started == [round((tick - began).total_seconds()) for tick, _ in ticks]


async def test_one_that_a_client_puts_comes_when_it_should_at_once(nightly: World) -> None:
    @nightly.app.job
    async def ping() -> None: ...

    await nightly.start()
    await nightly.advance(100)
    await nightly.client.schedules.put("ping", ping.call(), every=5)
    await nightly.advance(21)
    assert [at % 5 for at, _ in nightly.timed(JobStarted)] == pytest.approx([0] * 4)


def test_a_schedule_of_a_handler_that_is_not_there_is_refused_as_by_an_engine(tq: World) -> None:
    with pytest.raises(ConfigError, match="no handler is called 'report'"):
        tq.run(tq.start)


async def test_a_time_that_has_passed_is_refused(tq: World) -> None:
    with pytest.raises(ValueError, match="has passed"):
        await tq.advance(datetime(2020, 1, 1, tzinfo=UTC))
