"""What engines say of what their handlers take: the same where it is, and in every process."""

from __future__ import annotations

import dataclasses
import enum
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, NewType, TypedDict

import attrs
import pytest

from trioq.app import App
from trioq.core.job import Job
from trioq.engine.handlers import Command, Function
from trioq.engine.handlers.signature import signature_of


@attrs.define
class Line:
    article: str
    price: float | None = None


@attrs.define
class Wider:
    article: str
    price: float


@dataclasses.dataclass
class Node:
    name: str
    below: list[Node] = dataclasses.field(default_factory=list)


class Size(enum.Enum):
    S = "s"
    L = "l"


Cents = NewType("Cents", int)


class Told(TypedDict, total=False):
    by: str


def signed(function: Callable[..., Any], **options: Any) -> str:
    return signature_of(Function("send", function, **options))


def test_neither_order_nor_values_nor_where_it_runs_matters() -> None:
    async def one(job: Job, to: str, n: int = 1, **rest: float) -> None: ...
    def two(n: int = 2, *, to: str, **others: float) -> None: ...

    assert signed(one) == signed(two)
    assert signed(one) == signed(one, timeout_s=5.0, queue="high")


def test_each_difference_of_what_it_takes_is_another_one() -> None:
    def plain(to: str) -> None: ...
    def renamed(whom: str) -> None: ...
    def optional(to: str = "") -> None: ...
    def wider(to: str | None) -> None: ...
    def listed(to: list[str]) -> None: ...
    def more(to: str, title: str = "") -> None: ...
    def rest(to: str, **more: str) -> None: ...
    def other_rest(to: str, **more: int) -> None: ...
    def bare(to) -> None: ...  # type: ignore[no-untyped-def]
    def literal(to: Literal["a", "b"]) -> None: ...
    def fewer(to: Literal["a"]) -> None: ...
    def line(to: Line) -> None: ...
    def wider_line(to: Wider) -> None: ...
    def lines(to: Mapping[str, Line]) -> None: ...
    def node(to: Node) -> None: ...
    def size(to: Size) -> None: ...
    def cents(to: Cents) -> None: ...
    def told(to: Told) -> None: ...

    all_of_them = [
        plain, renamed, optional, wider, listed, more, rest, other_rest, bare, literal, fewer,
        line, wider_line, lines, node, size, cents, told,
    ]  # fmt: skip
    assert len({signed(each) for each in all_of_them}) == len(all_of_them)


def test_a_class_says_what_is_in_it() -> None:
    def made(**fields: Any) -> str:
        kind = attrs.make_class("Line", fields)
        kind.__qualname__, kind.__module__ = "Line", "shop"

        def send(line: kind) -> None: ...  # type: ignore[valid-type]

        send.__annotations__["line"] = kind
        return signed(send)

    first = made(article=attrs.field(type=str))
    assert first == made(article=attrs.field(type=str))
    assert first != made(article=attrs.field(type=int))
    assert first != made(article=attrs.field(type=str, default=""))
    assert first != made(article=attrs.field(type=str), price=attrs.field(type=int, default=0))


def test_a_program_says_its_placeholders() -> None:
    def signed(*argv: str) -> str:
        return signature_of(Command("send", argv))

    assert signed("a", "{to}", "x{title}") == signed("b", "{title}{to}")
    assert signed("a", "{to}") != signed("a", "{to}", "{title}")
    assert signed("a", "{{to}}") == signed("a")


def send(to: Line | None, size: Size, tags: frozenset[str], of: Mapping[str, Cents]) -> None: ...


@pytest.mark.parametrize("seed", ["0", "7"])
def test_it_is_the_same_in_every_process(seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import *; print(signed(send))"],
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stdout.strip() == signed(send)


def test_each_handler_of_an_app_has_one() -> None:
    app = App()

    @app.job(isolation="process")
    def apart(to: str) -> None: ...

    assert len(signature_of(app.handlers["apart"])) == 10
