"""Whether a file that is found is the one that was enqueued."""

from __future__ import annotations

import pytest

from trioq.core.seen import Sighting, Verdict, is_same, judge, known, parts


@pytest.mark.parametrize(
    ("remembered", "mark", "verdict"),
    [
        (None, "1:2:3", "new"),
        ("1:2:3", "1:2:3", "known"),
        ("1:2:3", "9:2:3", "new"),
        ("1:2:3", "1:9:3", "new"),
        ("1:2:3", "1:2:9", "new"),  # rewritten, and its time put back
        ("1:2:3", "1:2:2", "new"),  # a directory that was swapped for an older one
        ("1:2:3:50", "1:2:3", "noted"),  # mounted again
        ("1:2:3:50", "1:2:9", "new"),  # cp -p
        # An older version's is valid, and becomes whole.
        ("1:2", "1:2:3", "noted"),
        ("1:2", "1:9:3", "new"),
        ("1:2::50", "1:2:3", "new"),
        # Without the status time it is size and time, and whether the path was gone.
        ("1:2:3", "1:2:", "known"),
        ("1:2", "1:2:", "known"),
        ("1:2:3:50", "1:2:", "new"),
        ("1:2:", "1:2:3", "noted"),
        # What others write into our key.
        ("", "1:2:3", "new"),
        ("what:ever:this:is:not", "1:2:3", "new"),
    ],
)
def test_a_file_is_new_if_anything_that_is_known_of_it_is_another(
    remembered: str | None, mark: str, verdict: Verdict
) -> None:
    assert judge(remembered, mark) == verdict


@pytest.mark.parametrize(
    ("short", "mark", "remembered"),
    [
        (None, None, None),
        ("1:2", None, "1:2"),
        ("1:2", "1:2:3", "1:2:3"),
        ("1:2", "1:2:3:50", "1:2:3:50"),
        ("1:3", "1:2:3", "1:3"),  # an older version has enqueued the next file
        ("1:22", "1:2:3", "1:22"),
        (None, "1:2:3", None),
    ],
)
def test_a_mark_counts_that_is_of_the_file_that_was_enqueued_last(
    short: str | None, mark: str | None, remembered: str | None
) -> None:
    assert known(short, mark) == remembered


@pytest.mark.parametrize(
    ("remembered", "same"),
    [("1:2:3", True), ("1:2", True), ("1:2:3:50", True), ("1:2:4", False), ("1:2:33", False)],
)
def test_who_enqueues_a_file_meanwhile_enqueued_that(remembered: str, same: bool) -> None:
    assert is_same(remembered, "1:2:3") is same


def test_where_nothing_else_tells_a_file_that_was_gone_is_another() -> None:
    assert not is_same("1:2::50", "1:2:")


@pytest.mark.parametrize("since", ["", "x", "1" * 5000, "5:6"])
def test_nobody_fails_of_what_a_mark_cannot_be(since: str) -> None:
    assert parts(f"1:2:3:{since}") == ("1:2", "3", None)


def test_what_is_kept_of_a_file_that_is_gone_is_how_it_was() -> None:
    assert Sighting("p", "1:2:3:50", is_gone=True).kept == "1:2:3"
    assert Sighting("p", "1:2", is_gone=True).kept == "1:2:"
    assert Sighting("p", "1:2", is_gone=False, mark="1:2:3").kept == "1:2:3"
