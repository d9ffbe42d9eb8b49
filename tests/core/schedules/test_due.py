from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioq.core.schedules.due import MISSED_MAX, Due, Misfire, due, jitter_of
from trioq.core.schedules.when import Every, Once

MINUTE = 60_000
EACH_MINUTE = Every(MINUTE)


def at(minutes: float) -> int:
    return round(minutes * MINUTE)


def test_what_hasnt_come_isnt_due() -> None:
    assert due(EACH_MINUTE, at(5), at(5) - 1, "last", MINUTE) is None


def test_what_is_found_in_time_fires() -> None:
    found = due(EACH_MINUTE, at(5), at(5.5), "skip", MINUTE)
    assert found == Due((at(5),), (), False, at(6))


@pytest.mark.parametrize(
    ("misfire", "fires"),
    [("skip", ()), ("last", (at(7),)), ("all", (at(5), at(6), at(7)))],
)
def test_what_was_missed_fires_as_it_is_said(misfire: Misfire, fires: tuple[int, ...]) -> None:
    found = due(EACH_MINUTE, at(5), at(7.9), misfire, at(0.5))
    assert found is not None
    assert found.fires == fires
    assert found.misfired == tuple(t for t in (at(5), at(6), at(7)) if t not in fires)
    assert found.next == at(8)


def test_a_tick_in_time_stands_for_those_that_were_missed_before_it() -> None:
    found = due(EACH_MINUTE, at(5), at(8.2), "last", at(0.5))
    assert found == Due((at(8),), (at(5), at(6), at(7)), 0, at(9))


def test_of_very_many_the_newest_are_looked_at() -> None:
    found = due(Every(1000), 1000, 10**9, "all", 0)
    assert found is not None
    assert len(found.fires) == MISSED_MAX
    assert found.more == 10**6 - MISSED_MAX
    assert found.fires[-1] == 10**9
    assert found.misfired == ()


def test_what_was_promised_fires_though_the_times_are_others_now() -> None:
    # It was to come at 5 min 10 s; since then the schedule has changed.
    found = due(EACH_MINUTE, at(5) + 10_000, at(5.5), "skip", MINUTE)
    assert found is not None
    assert found.fires == (at(5) + 10_000,)


def test_what_comes_once_has_no_next() -> None:
    assert due(Once(1000), 1000, 1000, "skip", 0) == Due((1000,), (), 0, None)
    assert due(Once(1000), 1000, 10**9, "last", 0) == Due((1000,), (), 0, None)


@given(
    interval=st.integers(1, 10 * MINUTE),
    behind=st.integers(0, 50 * MINUTE),
    misfire=st.sampled_from(["skip", "last", "all"]),
    grace=st.integers(0, 5 * MINUTE),
)
def test_each_tick_has_come_once_and_is_accounted_for(
    interval: int, behind: int, misfire: Misfire, grace: int
) -> None:
    when, seen = Every(interval), interval * 7
    now = seen + behind
    found = due(when, seen, now, misfire, grace)
    assert found is not None
    both = sorted(found.fires + found.misfired)
    assert len(set(both)) == len(both)
    came = behind // interval + 1
    assert len(both) + found.more == came
    assert all(seen <= tick <= now for tick in both)
    assert found.next == when.after(now)
    if misfire != "skip":
        assert found.fires
    if misfire == "last":
        assert len([tick for tick in found.fires if now - tick > grace]) <= 1


@given(name=st.text(max_size=20), tick=st.integers(0, 10**14), most=st.integers(0, 10**9))
def test_jitter_is_the_same_for_all_who_ask(name: str, tick: int, most: int) -> None:
    drawn = jitter_of(name, tick, most)
    assert 0 <= drawn <= most
    assert drawn == jitter_of(name, tick, most)


def test_jitter_differs_from_tick_to_tick() -> None:
    assert len({jitter_of("nightly", tick, 30_000) for tick in range(0, 100_000, 1000)}) > 50


def test_schedules_of_the_same_time_are_spread() -> None:
    assert len({jitter_of(f"of-{tenant}", 60_000, 30_000) for tenant in range(100)}) > 50
