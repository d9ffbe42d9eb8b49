from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioq.core.schedules.when import Cron, Every, Once, When

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
EXPRESSIONS = (
    "30 2 * * *", "0 * * * *", "*/15 1-3 * * *", "0 3 * * 1", "59 23 31 12 *", "*/7 * * * * *",
    "0 0 29 2 *", "15 2 L * *", "0 12 * * 5#2",
)  # fmt: skip


def ms(said: str, zone: str = "UTC", fold: int = 0) -> int:
    at = datetime.fromisoformat(said).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(at.timestamp() * 1000)


def ticks(when: When, after: int, count: int) -> list[int]:
    found: list[int] = []
    for _ in range(count):
        tick = when.after(after)
        assert tick is not None
        found.append(after := tick)
    return found


@pytest.mark.parametrize(
    ("zone", "cron", "spring", "instead", "autumn"),
    [
        ("Europe/Berlin", "30 2 * * *", "2026-03-29", "03:00", "2026-10-25"),
        ("America/New_York", "30 2 * * *", "2026-03-08", "03:00", "2026-11-01"),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-04", "02:30", "2026-04-05"),
    ],
)
def test_a_fixed_hour_runs_once_where_the_clock_leaps(
    zone: str, cron: str, spring: str, instead: str, autumn: str
) -> None:
    # In spring the hour is missing, and in autumn it comes twice; Lord Howe leaps by half an hour.
    for date in (spring, autumn):
        found = ticks(Cron(cron, ZoneInfo(zone)), ms(f"{date}T00:00", zone) - 1, 2)
        first, second = (datetime.fromtimestamp(t / 1000, ZoneInfo(zone)) for t in found)
        tomorrow = datetime.fromisoformat(date) + timedelta(days=1)
        assert (str(first.date()), second.date()) == (date, tomorrow.date())
        assert date == autumn or first.strftime("%H:%M") == instead


@pytest.mark.parametrize(
    ("date", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)]
)
def test_each_hour_is_each_hour_that_there_is(date: str, hours: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = ms(f"{date}T00:00", zone.key)
    tomorrow = (datetime.fromisoformat(date) + timedelta(days=1)).isoformat()
    end = ms(tomorrow, zone.key)
    found = [t for t in ticks(Cron("0 * * * *", zone), start - 1, 30) if t < end]
    assert len(found) == hours
    assert {b - a for a, b in pairwise(found)} == {3600_000}


@given(
    expression=st.sampled_from(EXPRESSIONS),
    zone=st.sampled_from(ZONES),
    at=st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)),
    past=st.integers(0, 999),
)
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 29, 1, 0), 0)
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, 0, 30), 0)
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, 1, 30), 0)
def test_the_last_tick_is_the_one_behind_which_the_next_comes(
    expression: str, zone: str, at: datetime, past: int
) -> None:
    cron = Cron(expression, ZoneInfo(zone))
    now = int(at.replace(tzinfo=UTC).timestamp()) * 1000 + past
    following = cron.after(now)
    assert following is not None
    assert following > now
    last = cron.until(now)
    assert last is not None
    assert last <= now
    assert cron.after(last) == following, "there is none between them"
    assert cron.until(following) == following
    assert cron.until(following - 1) == last


@given(interval=st.integers(1, 10**9), anchor=st.integers(0, 10**13), now=st.integers(0, 10**13))
def test_intervals_are_counted_from_the_anchor(interval: int, anchor: int, now: int) -> None:
    every = Every(interval, anchor)
    last, following = every.until(now), every.after(now)
    assert last <= now < following
    assert following - last == interval
    assert (last - anchor) % interval == 0


def test_once_is_once() -> None:
    once = Once(1000)
    assert (once.after(999), once.after(1000)) == (1000, None)
    assert (once.until(999), once.until(1000)) == (None, 1000)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("* * * *", "five or six fields"),
        ("61 * * * *", "bad minute"),
        ("0 0 31 2 *", "it never fires, as none of its months has such a day"),
        ("0 3 31 2,4,6 *", "it never fires"),
        ("0 0 32 * *", "bad day-of-month"),
        ("@daily", "five or six fields"),
        ("", "five or six fields"),
        ("0 0 29 2 1#9", "bad day-of-week"),
        ("1," * 200 + "1 * * * *", "longer than 256"),
    ],
)
def test_what_is_no_expression_is_told(expression: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Cron(expression)


@pytest.mark.parametrize("make", [lambda: Every(0), lambda: Every(-1), lambda: Once(-1)])
def test_what_is_no_time_is_told(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match="expected"):
        make()
