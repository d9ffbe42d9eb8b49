"""What a job may be, to the bound: what the client refuses, and an engine runs all else."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioq.core.valid import (
    ATTEMPTS,
    DEEPEST,
    DELAY_S,
    ID,
    LARGEST,
    LATEST_MS,
    LONGEST_S,
    NAME,
    QUEUE,
    TIME_MS,
    TIMEOUT_S,
    Rule,
    is_too_deep,
    shown,
)

NO_NUMBERS: tuple[Any, ...] = (True, "1", None, [], math.nan, math.inf, -math.inf)


@pytest.mark.parametrize(
    ("rule", "allowed", "refused"),
    [
        (QUEUE, ("a", "a" * 64, "A.b-c_9"), ("", "a" * 65, "a b", "ä", "a\n", "a:b", b"a", None)),
        (NAME, ("a", "a" * 200, "ä b"), ("", "a" * 201, "a\n", "a\0", "\ud800", b"a", None)),
        (
            ID,
            ("a", "a" * 500, "ä\n", "\U0010ffff"),
            ("", "a" * 501, "\ud800", "a\udbff", "\udc00", "\udfff", b"a", 7, None),
        ),
        (TIME_MS, (0, LATEST_MS), (-1, LATEST_MS + 1, 1.0, *NO_NUMBERS)),
        (DELAY_S, (0, 0.5, LONGEST_S), (-1, -1e-9, LONGEST_S + 1, *NO_NUMBERS)),
        (TIMEOUT_S, (1e-9, LONGEST_S), (0, 0.0, -1, LONGEST_S + 1, *NO_NUMBERS)),
        (ATTEMPTS, (1, LARGEST), (0, -1, LARGEST + 1, 1.0, *NO_NUMBERS)),
    ],
)
def test_a_rule_holds_to_its_bounds(
    rule: Rule, allowed: tuple[Any, ...], refused: tuple[Any, ...]
) -> None:
    assert [value for value in allowed if not rule.allows(value)] == []
    assert [value for value in refused if rule.allows(value)] == []
    for value in refused:
        with pytest.raises(ValueError, match=r"^it is .*: expected "):
            rule.check("it", value)


def test_a_payload_may_be_this_deep_and_no_deeper() -> None:
    deep: Any = {}
    for _ in range(DEEPEST - 1):
        deep = {"a": [1], "b": deep}
    assert not is_too_deep(deep)
    assert is_too_deep({"b": deep})
    assert is_too_deep([deep])


def test_a_wrong_value_is_shown_short_and_printable() -> None:
    assert shown(2.5) == "2.5"
    assert shown("a\n\ud800") == r"'a\n\ud800'"
    assert shown(10**5000) == "a number of 16610 bits"
    assert len(shown("x" * 1000)) < 70
    assert shown([1]) == "a list"
