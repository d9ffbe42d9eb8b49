"""Lines over time, and texts for people."""

from __future__ import annotations

import attrs
import pytest

from trioq.core.formats.snapshot import Failure
from trioq.web.site import words
from trioq.web.site.look import alike
from trioq.web.site.pages.overview import drawn
from trioq.web.site.pictures import HEIGHT, WIDTH, nice, picture

NOW = 10_000 * 60_000 + 30_000


@attrs.frozen
class Minute:
    """What is known of one."""

    at_ms: int
    done: int = 0
    enqueued: int = 0
    failed: int = 0
    oldest_ms: int | None = None


def test_a_line_goes_from_edge_to_edge_and_has_gaps_where_nothing_is_known() -> None:
    drawn = picture([1.0, 2.0, None, 0.0, 4.0])
    assert drawn.line == "M0.0 64.0L150.0 48.0M450.0 80.0L600.0 16.0"
    assert drawn.area.count("Z") == 2
    assert (drawn.top, drawn.last) == (5.0, 4.0)
    assert (WIDTH, HEIGHT) == (600, 80)


def test_of_nothing_there_is_no_line_and_of_one_value_a_dot() -> None:
    assert picture([None, None]).is_empty
    assert picture([]).is_empty
    assert picture([None, 1.0, None]).line == "M300.0 0.0L301.0 0.0"


@pytest.mark.parametrize(
    ("value", "edge"), [(0.03, 0.05), (1, 1), (1.1, 2), (3, 5), (7, 10), (101, 200), (1e6, 1e6)]
)
def test_an_upper_edge_is_a_number_that_people_say(value: float, edge: float) -> None:
    assert nice(value) == pytest.approx(edge)


def test_a_minute_that_isnt_over_or_is_too_old_isnt_drawn() -> None:
    minutes = [Minute(at * 60_000, done=60 * at) for at in (9_000, 9_940, 9_999, 10_000)]
    done, enqueued, failing, oldest = drawn(minutes, 1, 1, NOW)
    assert done.picture.line.count("M") == 2
    assert done.picture.last == 9_999
    assert enqueued.picture.last == failing.picture.last == oldest.picture.last == 0


def test_a_point_of_several_minutes_is_the_mean_of_those_that_are_known() -> None:
    minutes = [Minute(at * 60_000, enqueued=120, oldest_ms=at) for at in (9_995, 9_999)]
    _, enqueued, _, oldest = drawn(minutes, 24, 5, NOW)
    assert enqueued.picture.last == 2
    assert oldest.picture.last == 9.999


def test_what_failed_alike_is_one_line_with_the_newest() -> None:
    failures = [
        Failure(9 - n, f"u{n}", "mail", "low", 1, f"GiveUp: no mailbox {n}", "dead")
        for n in range(5)
    ]
    failures.insert(1, Failure(8, "x", "mail", "low", 1, "Timeout: 5 s", "dead"))
    assert [(each.uid, times) for each, times in alike(failures, 10)] == [("u0", 5), ("x", 1)]
    assert len(alike(failures, 1)) == 1


def test_texts_are_bounded_and_what_cant_be_seen_is_spelled_out() -> None:
    assert words.line("a\u202eb\nc\x00") == "a\\u202eb\\nc\\x00"
    assert words.text("a\n\tb\x1b[0m") == "a\n\tb\\x1b[0m"
    assert len(words.line("x" * 10_000)) == 120
    assert len(words.text("x" * 100_000)) == 32_768
    assert len(words.as_json({"a": "x" * 200_000})) < 66_000
    assert words.as_json({"a": [1, None]}) == '{\n  "a": [\n    1,\n    null\n  ]\n}'


def test_times_and_numbers_are_as_people_say_them() -> None:
    assert [words.count(each) for each in (None, 0, 1.0, 0.25, 12.34, 1234)] == [
        "–", "0", "1", "0.25", "12.3", "1,234",
    ]  # fmt: skip
    assert words.ago(1000, 1500) == "now"
    assert words.ago(1000, 61_000) == "60.0 s ago"
    assert words.ago(61_000, 1000) == "in 60.0 s"
    assert words.ago(None, 0) == words.moment(None) == words.moment(1e20) == "–"
