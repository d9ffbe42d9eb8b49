"""Files that are still being written are left for later."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.engine.sources.scan.trees import (
    HOUR_NS,
    an_hour_later,
    found,
    look_twice,
    results,
    rules,
    write,
)
from trioq.engine.sources.scan.walk import Found, Skipped, look_again, scan

MINUTE_NS = HOUR_NS // 60


def test_a_file_that_just_changed_is_left_and_found_at_the_second_look(tmp_path: Path) -> None:
    write(tmp_path, "sub/a.pdf")

    first, second = look_twice(tmp_path, wait_ns=2 * MINUTE_NS)

    assert [(one.path, one.reason) for one in first] == [("sub/a.pdf", "still_written")]
    assert second == results(tmp_path)
    assert second[0].queue == "high"


def test_bare_paths_are_judged_by_the_clock(tmp_path: Path) -> None:
    write(tmp_path, "a")
    the_rules = rules(tmp_path, settle_s=60)

    (young,) = look_again(the_rules, ["a"], now_ns=time.time_ns)
    (settled,) = look_again(the_rules, ["a"], now_ns=an_hour_later)

    assert isinstance(young, Skipped)
    assert isinstance(settled, Found)


def test_a_backdated_file_is_as_young_as_its_last_write(tmp_path: Path) -> None:
    write(tmp_path, "a")
    os.utime(tmp_path / "a", (0, 0))

    first, _ = look_twice(tmp_path, wait_ns=0)

    assert [one.reason for one in first] == ["still_written"]


def test_a_time_in_the_future_is_settled_by_two_looks(tmp_path: Path) -> None:
    write(tmp_path, "a")
    behind = time.time_ns() - HOUR_NS
    the_rules = rules(tmp_path)

    first = list(scan(the_rules, now_ns=lambda: behind))
    too_soon = list(look_again(the_rules, first, now_ns=lambda: behind + 999_999_999))
    second = list(look_again(the_rules, first, now_ns=lambda: behind + 1_000_000_000))

    assert [one.reason for one in first] == ["still_written"]
    assert [one.reason for one in too_soon] == ["still_written"]
    assert [type(one) for one in second] == [Found]


def test_a_file_that_grows_between_two_looks_is_left_again(tmp_path: Path) -> None:
    write(tmp_path, "a")
    behind = time.time_ns() - HOUR_NS
    the_rules = rules(tmp_path)

    first = list(scan(the_rules, now_ns=lambda: behind))
    write(tmp_path, "a", text="longer")
    second = list(look_again(the_rules, first, now_ns=lambda: behind + HOUR_NS // 2))
    third = list(look_again(the_rules, second, now_ns=lambda: behind + HOUR_NS * 3 // 4))

    assert [one.reason for one in second] == ["still_written"]
    assert [(type(one), one.size) for one in third] == [(Found, 6)]


def test_an_mtime_in_the_future_delays_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a")
    os.utime(tmp_path / "a", (4e9, 4e9))

    assert found(tmp_path) == ["a"]


def test_settling_can_be_switched_off(tmp_path: Path) -> None:
    write(tmp_path, "a")

    (one,) = scan(rules(tmp_path, settle_s=0), now_ns=lambda: 0)

    assert isinstance(one, Found)


def test_a_second_look_reports_what_went_away(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "root"
    write(root, "a", "b", "c")

    def between() -> None:
        (root / "a").unlink()
        (root / "b").unlink()
        (root / "b").symlink_to(outside / "secret")
        (root / "c").unlink()
        os.mkfifo(root / "c")

    _, second = look_twice(root, wait_ns=HOUR_NS, between=between)

    assert [(one.path, one.reason) for one in second] == [
        ("a", "vanished"),
        ("b", "symlink_outside"),
        ("c", "special"),
    ]
