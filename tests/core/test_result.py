"""What handlers return, as JSON and back."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn

import attrs
import pytest

from trioq.core import result
from trioq.errors import ResultTooLarge, ResultUnfit

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]

PLENTY = 1 << 16


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Page:
    number: int
    colour: Colour = Colour.RED


@attrs.frozen
class Book:
    title: str
    pages: list[Page]


@pytest.mark.parametrize(
    ("value", "returns"),
    [
        (None, NoneType),
        (7, int),
        (0.5, float),
        ("wörter", str),
        (True, bool),
        ([1, 2], list[int]),
        ({"a": None}, dict[str, None]),
        ({1: "one"}, dict[int, str]),
        ((1, "x"), tuple[int, str]),
        ({3, 4}, set[int]),
        (b"\0\xff", bytes),
        (Colour.RED, Colour),
        (Page(4), Page),
        (Book("b", [Page(1), Page(2)]), Book),
        (None, Book | None),
        (Book("b", []), Book | None),
        (uuid.UUID(int=5), uuid.UUID),
        (Decimal("1.50"), Decimal),
        (datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), datetime.datetime),
        (Path("/tmp/x"), Path),
    ],
)
def test_a_result_comes_back_as_its_type(value: Any, returns: Any) -> None:
    back = result.decode(result.encode(value, PLENTY), returns)
    assert back == value
    assert type(back) is type(value)


def test_without_a_declared_type_it_comes_back_as_json() -> None:
    encoded = result.encode({"book": Book("b", [Page(1)])}, PLENTY)
    back = result.decode(encoded, Any)
    assert back == {"book": {"title": "b", "pages": [{"number": 1, "colour": "red"}]}}


@pytest.mark.parametrize("value", [float("nan"), object(), {"a": {"b": open}}, lambda: 0])
def test_what_json_cannot_hold_is_unfit(value: Any) -> None:
    with pytest.raises(ResultUnfit):
        result.encode(value, PLENTY)


def test_what_contains_itself_is_unfit() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ResultUnfit, match="nested"):
        result.encode(circle, PLENTY)


def test_what_is_nested_too_deeply_is_unfit() -> None:
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(ResultUnfit, match="deep"):
        result.encode(deep, PLENTY)


def test_the_limit_counts_bytes_of_json() -> None:
    assert len(result.encode("x" * 98, 100)) == 100
    with pytest.raises(ResultTooLarge) as refused:
        result.encode("x" * 99, 100)
    assert (refused.value.size, refused.value.most) == (101, 100)


@pytest.mark.parametrize(
    ("encoded", "returns", "told"),
    [
        (b'"5"', int, "result: expected int, got a string"),
        (
            b'{"title":"b","pages":[{"number":"1"}]}',
            Book,
            r"result.pages\[0\].number: expected int",
        ),
        (b'{"title":"b"}', Book, "missing: result.pages"),
        (b"{", Any, "doesn't decode"),
    ],
)
def test_another_value_than_the_declared_is_told_with_its_place(
    encoded: bytes, returns: Any, told: str
) -> None:
    with pytest.raises(ResultUnfit, match=told):
        result.decode(encoded, returns)


def test_what_a_function_returns() -> None:
    async def page() -> Page: ...
    def later() -> Awaitable[Page]: ...
    def coroutine() -> Coroutine[Any, Any, Page]: ...
    def nothing() -> None: ...
    def never() -> NoReturn: ...
    def unsaid(): ...  # type: ignore[no-untyped-def]
    def for_checkers() -> Missing: ...

    told = [result.returned_by(f) for f in (page, later, coroutine)]
    assert told == [Page, Page, Page]
    assert [result.returned_by(f) for f in (nothing, never)] == [NoneType, NoneType]
    assert [result.returned_by(f) for f in (unsaid, for_checkers)] == [Any, Any]
