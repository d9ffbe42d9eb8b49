"""What is kept of what handlers return, whatever that is."""

from __future__ import annotations

import contextvars
import datetime
import enum
import math
from typing import Any

import attrs
import pytest

from trioq.core.keep import WORDS_MAX, Keep, Kept

KEEP = Keep(1000, 100)


class Size(enum.Enum):
    SMALL = "s"


@attrs.frozen
class Invoice:
    number: int
    on: datetime.date


@pytest.mark.parametrize(
    ("returned", "encoded"),
    [
        (None, b"null"), (True, b"true"), (7, b"7"), (0.5, b"0.5"), ("ä", b'"\\u00e4"'),
        ({"a": [1, None]}, b'{"a":[1,null]}'), ((1, 2), b"[1,2]"), ({}, b"{}"),
        (Size.SMALL, b'"s"'), ({"size": Size.SMALL}, b'{"size":"s"}'), ({1: "x"}, b'{"1":"x"}'),
        ({Size.SMALL: 1}, b'{"s":1}'),
        (Invoice(1, datetime.date(2026, 11, 30)), b'{"number":1,"on":"2026-11-30"}'),
    ],
    ids=repr,
)  # fmt: skip
def test_a_result_is_kept_as_json(returned: Any, encoded: bytes) -> None:
    assert KEEP.kept(returned) == Kept("done", encoded)
    assert KEEP.kept(returned).why_not == ""


def test_what_is_larger_than_it_may_be_says_how_large_it_is() -> None:
    assert KEEP.kept("x" * 98).word == "done"
    kept = KEEP.kept("x" * 99)
    assert kept == Kept("too_large", b"101 100")
    assert kept.why_not == "it has 101 bytes, the limit is 100"


class Odd(BaseException):
    """No Exception."""


class Rude:
    """Nothing can be asked of it."""

    def __str__(self) -> str:
        raise Odd

    __repr__ = __str__


@attrs.frozen
class Broken:
    _n: int = 0

    def __getattribute__(self, name: str) -> Any:
        raise Odd


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (object(), "not representable as JSON"), (math.nan, "result is NaN or infinite"),
        ({"at": {1, object()}}, "result.at"), (_circle(), "contains itself"), (Rude(), ""),
        (Broken(), "Odd"), ([Broken()], "Odd"), ({"k" * 3000: object()}, "result.kkk"),
    ],
    ids=["object", "nan", "inside", "circle", "rude", "broken", "broken inside", "long"],
)  # fmt: skip
def test_what_json_cannot_hold_says_so_and_raises_nothing(returned: Any, words: str) -> None:
    kept = KEEP.kept(returned)
    assert kept.word == "unfit"
    assert words in kept.why_not
    assert 0 < len(kept.value) <= WORDS_MAX * 4


def test_what_was_kept_elsewhere_stays_what_it_is() -> None:
    kept = Kept("too_large", b"9 8")
    assert Keep(1, 1).kept(kept) is kept


MARK = contextvars.ContextVar("mark", default=0)


class Marking(dict[str, int]):
    def items(self) -> Any:
        MARK.set(1)
        return super().items()


def test_what_its_classes_do_to_context_variables_is_not_there_for_others() -> None:
    for returned in (Marking(a=1), [Marking(a=1)], {"a": Marking(a=1)}):
        assert KEEP.kept(returned).word == "done"
        assert MARK.get() == 0
