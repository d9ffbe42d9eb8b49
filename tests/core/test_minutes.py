"""The ring of minutes: what was written is read as differences, and gaps as gaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioq.core.formats.minutes import KEPT, Minute, decode, encode, place

NOW = 29_400_000


def ring(records: dict[int, dict[str, int]], **so: int) -> bytes:
    """With these minutes in it, and what the counters stood at."""
    held = bytearray(place(KEPT - 1) + 32)
    told = {"oldest_ms": None, "waiting": 0, "running": 0} | so
    for minute, counters in records.items():
        record = encode(minute, counters, **told)  # type: ignore[arg-type]
        held[place(minute) : place(minute) + len(record)] = record
    return bytes(held)


def read(held: bytes, first: int = NOW - 60, last: int = NOW - 1) -> list[Minute]:
    return list(decode(held, first, last))


def test_a_minute_is_known_when_the_next_has_begun() -> None:
    held = ring(
        {
            NOW - 2: {"done": 10, "enqueued": 20, "retried": 1, "dead_letters": 2},
            NOW - 1: {"done": 15, "enqueued": 27, "retried": 2, "dead_letters": 5},
            NOW: {"done": 15, "enqueued": 27, "retried": 2, "dead_letters": 5},
        },
        oldest_ms=1500, waiting=3, running=4,
    )  # fmt: skip
    assert read(held) == [
        Minute((NOW - 2) * 60_000, 7, 5, 4, 3, 1500, 3, 4),
        Minute((NOW - 1) * 60_000, 0, 0, 0, 0, 1500, 3, 4),
    ]


def test_nothing_is_told_of_minutes_that_nobody_counted() -> None:
    held = ring({NOW - 9: {"done": 1}, NOW - 5: {"done": 2}, NOW - 4: {"done": 4}})
    assert [(each.at_ms // 60_000, each.done) for each in read(held)] == [(NOW - 5, 2)]
    assert read(b"") == []
    assert read(b"x" * 100) == []


def test_counters_that_went_back_are_a_gap_and_those_that_went_round_are_not() -> None:
    held = ring({NOW - 3: {"done": 100}, NOW - 2: {"done": 5}, NOW - 1: {"done": 9}})
    assert [each.done for each in read(held)] == [4]
    held = ring({NOW - 3: {"done": 2**32 - 1}, NOW - 2: {"done": 2**32 + 4}})
    assert [each.done for each in read(held)] == [5]


def test_what_is_a_day_old_is_not_taken_for_new() -> None:
    old = NOW - KEPT
    held = ring({old - 2: {"done": 1}, old - 1: {"done": 2}})
    assert place(old) == place(NOW)
    assert read(held) == []


def test_a_whole_day_is_kept_in_some_kilobytes() -> None:
    held = ring({minute: {"done": minute} for minute in range(NOW - 1440, NOW + 1)})
    assert len(read(held, NOW - 1440, NOW - 1)) == 1440
    assert len(held) < 50_000


def test_large_numbers_are_kept_as_well_as_they_can_be() -> None:
    held = ring({NOW - 2: {}, NOW - 1: {}}, oldest_ms=2**40, waiting=2**40, running=0)
    (only,) = read(held)
    assert (only.oldest_ms, only.waiting) == (2**32 - 2, 2**32 - 1)
    held = ring({NOW - 2: {}, NOW - 1: {"done": -5}}, oldest_ms=-7, waiting=-1, running=0)
    assert read(held) == []


@given(st.binary(max_size=200), st.integers(-5, 5))
def test_whatever_lies_there_is_read_or_not(held: bytes, shift: int) -> None:
    assert all(each.done >= 0 for each in decode(held, shift, shift + 10))
