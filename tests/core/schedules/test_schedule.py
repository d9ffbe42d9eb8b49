from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioq.core.formats.schedule import decode, encode
from trioq.core.schedules.due import Misfire
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.tick import Mark, Tick
from trioq.core.schedules.when import Cron, Every, Once

MINUTE = 60_000
EACH_MINUTE = Schedule("m", Every(MINUTE), "report", "low")

whens = st.one_of(
    st.builds(
        Cron,
        st.sampled_from(["0 3 * * *", "*/5 * * * * *"]),
        st.sampled_from([ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")]),
    ),
    st.builds(Every, st.integers(1, 10**9), st.integers(0, 10**12)),
    st.builds(Once, st.integers(0, 10**13)),
)
schedules = st.builds(
    Schedule,
    name=st.just("nightly"),
    when=whens,
    job=st.text(max_size=9),
    queue=st.text(max_size=9),
    payload=st.sampled_from([b"{}", b'{"a":"\\n"}']),
    misfire=st.sampled_from(["skip", "last", "all"]),
    grace_ms=st.integers(0, 10**6),
    overlap=st.sampled_from(["allow", "skip", "queue_one", "replace"]),
    jitter_ms=st.integers(0, 10**6),
    owner=st.sampled_from(["config", "app", "runtime"]),
)


@given(schedules)
def test_what_is_kept_is_read_as_it_was(schedule: Schedule) -> None:
    assert decode("nightly", encode(schedule)) == schedule


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"", "JSON|version|Expecting"),
        (b"[]", "version"),
        (b'{"v":2}', "version"),
        (b'{"v":1}', "misfire"),
        (encode(EACH_MINUTE).replace(b'"job":"report"', b'"job":7'), "no job"),
        (encode(EACH_MINUTE).replace(b'"grace_ms":60000', b'"grace_ms":-1'), "grace_ms"),
        (encode(EACH_MINUTE).replace(b'"every_ms":60000', b'"every_ms":0'), "more than 0"),
        (encode(EACH_MINUTE).replace(b'"every_ms":60000,"anchor_ms":0,', b""), "at_ms"),
        (
            encode(Schedule("m", Cron("0 3 * * *"), "j", "q")).replace(b"UTC", b"Mars/Olympus"),
            "no zone 'Mars/Olympus'",
        ),
    ],
)
def test_what_cant_be_read_is_told(row: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode("m", row)


def test_what_hasnt_come_makes_no_move() -> None:
    assert EACH_MINUTE.move(5 * MINUTE, 5 * MINUTE - 1) is None


def test_of_several_that_fire_the_earliest_does_and_the_next_follows() -> None:
    all_of_them = Schedule("m", Every(MINUTE), "report", "low", misfire="all")
    seen, now, fired = 5 * MINUTE, 8 * MINUTE, []
    while (move := all_of_them.move(seen, now)) is not None:
        fired.append(move.fires)
        assert move.next_ms is not None
        seen = move.next_ms
    assert fired == [5 * MINUTE, 6 * MINUTE, 7 * MINUTE, 8 * MINUTE]
    assert seen == 9 * MINUTE


def test_what_was_passed_over_is_told_with_what_fires() -> None:
    move = EACH_MINUTE.move(5 * MINUTE, 8 * MINUTE + 1)
    assert move is not None
    passed = tuple(Mark(t * MINUTE, "missed", (8 - t) * MINUTE + 1) for t in (5, 6))
    in_time = Mark(7 * MINUTE, "missed", MINUTE + 1)
    fired = Mark(8 * MINUTE, "fired", 1, "u")
    assert move.tick(b"1", "u") == Tick(
        "m", b"1", 5 * MINUTE, 9 * MINUTE, (*passed, in_time, fired), 0
    )
    overlapped = Mark(8 * MINUTE, "overlap", 1, "w")
    assert move.passed_over(b"1", "w").marks[-1] == overlapped
    assert move.passed_over(b"1", "w").alive_max is None


@pytest.mark.parametrize("misfire", ["skip", "last", "all"])
def test_all_that_came_are_counted(misfire: Misfire) -> None:
    schedule = Schedule("m", Cron("* * * * *"), "report", "low", misfire=misfire)
    seen, now, fired, told = 5 * MINUTE, 505 * MINUTE, 0, 0
    while (move := schedule.move(seen, now)) is not None:
        tick = move.tick(b"1", "u")
        fired += move.fires is not None
        told += move.left_out(tick) + len(tick.marks)
        assert tick.next_ms is not None
        seen = tick.next_ms
    assert told == 501
    assert fired == {"skip": 2, "last": 2, "all": 100}[misfire]


def test_while_it_is_paused_all_are_passed_over() -> None:
    move = EACH_MINUTE.move(5 * MINUTE, 6 * MINUTE, is_paused=True)
    assert move is not None
    assert (move.fires, move.next_ms) == (None, 7 * MINUTE)
    assert [mark.outcome for mark in move.tick(b"1").marks] == ["paused", "paused"]


@given(
    interval=st.integers(1, 10 * MINUTE),
    ticks=st.integers(0, 300),
    misfire=st.sampled_from(["skip", "last", "all"]),
)
def test_no_move_tells_of_more_than_are_kept(interval: int, ticks: int, misfire: str) -> None:
    schedule = Schedule("m", Every(interval), "j", "q", misfire=misfire)  # type: ignore[arg-type]
    move = schedule.move(0, ticks * interval)
    assert move is not None
    assert len(move.tick(b"1", "u").marks) <= 20
