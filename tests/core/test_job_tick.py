"""A job tells for which tick of its schedule it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import trioq
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.when import Every


def job(id: str | None) -> trioq.Job:
    return trioq.Job(uid="0" * 32, name="report", queue="low", payload={}, id=id)


def test_a_job_of_a_schedule_tells_its_tick() -> None:
    schedule = Schedule("nightly-1.b", Every(60_000), "report", "low")
    tick = datetime(2030, 3, 31, 1, 30, 0, 250_000, tzinfo=UTC)
    assert job(schedule.id_of(int(tick.timestamp() * 1000))).tick == tick


@pytest.mark.parametrize(
    "id", [None, "", "report:7", "schedule:7", "schedule:a:b:7", "schedule:a:"]
)
def test_any_other_has_none(id: str | None) -> None:
    assert job(id).tick is None
