"""What is read of a value that anybody may have written: what it is, or that it is none."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioq.core.formats import lenient, snapshot
from trioq.core.formats.snapshot import Snapshot
from trioq.core.valid import LARGEST, LATEST_MS


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0), (7, 7), (LARGEST, LARGEST), (LARGEST + 1, 0), (-1, 0),
        (True, 0), (7.0, 0), ("7", 0), (None, 0), ([], 0),
    ],
)  # fmt: skip
def test_a_count(value: Any, expected: int) -> None:
    assert lenient.count(value) == expected
    assert type(lenient.count(value)) is int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0), (LATEST_MS, LATEST_MS), (LATEST_MS + 1, None), (-1, None),
        (True, None), (1.0, None), ("1", None), (None, None),
    ],
)  # fmt: skip
def test_a_time(value: Any, expected: int | None) -> None:
    assert lenient.time_ms(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0), (7, 7.0), (0.5, 0.5), (LARGEST, float(LARGEST)), (2 * LARGEST, 0.0),
        (-0.5, 0.0), (math.inf, 0.0), (-math.inf, 0.0), (math.nan, 0.0), (True, 0.0), ("1", 0.0),
        (10**400, 0.0),
    ],
)  # fmt: skip
def test_a_duration(value: Any, expected: float) -> None:
    assert lenient.seconds(value) == expected
    assert lenient.offset(value) == (-0.5 if value == -0.5 else expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "b"], ("a", "b")), (["a", 1, None, "\ud800"], ("a", "\\ud800")),
        ("ab", ()), ({"a": "b"}, ()), (None, ()),
    ],
)  # fmt: skip
def test_texts(value: Any, expected: tuple[str, ...]) -> None:
    assert lenient.texts(value) == expected


def test_only_who_says_so_drains() -> None:
    for said, expected in (("true", True), ("false", False), ("1", False), ('"no"', False)):
        told = snapshot.decode(b'{"draining":%s}' % said.encode())
        assert told == Snapshot(draining=expected)
