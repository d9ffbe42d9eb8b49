"""Payloads to arguments and back: what fits, what doesn't, and how that is told."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import attrs
import pytest
import trio

import trioq
from trioq.engine.handlers import BadPayload, Binding, Function

LIMITER = trio.CapacityLimiter(4)


class Colour(enum.Enum):
    RED = "red"


class Size(str, enum.Enum):  # noqa: UP042  # the older way is what we want to see work
    SMALL = "s"


class Level(enum.IntEnum):
    ONE = 1


@attrs.frozen
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass
class Node:
    value: int
    children: list[Node] = dataclasses.field(default_factory=list)


@attrs.frozen
class Tree:
    left: Tree | None = None
    right: Tree | None = None


class Options(TypedDict):
    deep: bool


def takes(annotation: Any) -> Binding:
    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    return Binding.of(function)


@pytest.mark.parametrize(
    ("annotation", "given", "got"),
    [
        (int, 5, 5),
        (float, 5, 5.0),
        (bool, True, True),
        (str, "5", "5"),
        (Any, [1, {"a": None}], [1, {"a": None}]),
        (object, 1, 1),
        (None, None, None),
        (int | None, None, None),
        (int | str, "a", "a"),
        (float | None, 1, 1.0),
        (list, [1, "a"], [1, "a"]),
        (list[int], [1], [1]),
        (Sequence[Path], ["a"], [Path("a")]),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (set[str], ["a", "a"], {"a"}),
        (dict, {"a": 1}, {"a": 1}),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (dict[int, str], {"-5": "a"}, {-5: "a"}),
        (Mapping[str, Path], {"a": "b"}, {"a": Path("b")}),
        (list[int] | dict[str, int], {"a": 1}, {"a": 1}),
        (Path, "a/b", Path("a/b")),
        (Path | None, "a/b", Path("a/b")),
        (uuid.UUID, str(uuid.UUID(int=7)), uuid.UUID(int=7)),
        (datetime.datetime, "2026-01-02T03:04:05", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
        (Literal["a", 1], 1, 1),
        (Colour, "red", Colour.RED),
        (Size, "s", Size.SMALL),
        (Level, 1, Level.ONE),
        (Point, {"x": 1}, Point(1)),
        (Point | None, {"x": 1, "y": 2}, Point(1, 2)),
        (Node, {"value": 1, "children": [{"value": 2}]}, Node(1, [Node(2)])),
        (Tree, {"left": {"right": {}}, "right": None}, Tree(Tree(None, Tree()))),
        (Options, {"deep": True}, {"deep": True}),
    ],
)
def test_a_value_becomes_what_the_annotation_says(annotation: Any, given: Any, got: Any) -> None:
    bound = takes(annotation).bind({"x": given})["x"]

    assert bound == got
    assert type(bound) is type(got)


@pytest.mark.parametrize(
    ("annotation", "given", "fault"),
    [
        (int, "5", "x: expected int, got a string"),
        (int, True, "x: expected int, got a boolean"),
        (int, 5.0, "x: expected int, got a float"),
        (float, True, "x: expected float, got a boolean"),
        (float, "1", "x: expected float, got a string"),
        (str, 5, "x: expected str, got an int"),
        (int, None, "x: expected int, got null"),
        (None, 1, "x: expected null, got an int"),
        (int | str, 1.5, "x: expected int or str, got a float"),
        (int | None, "a", "x: expected int or null, got a string"),
        (Path | None, 5, "x: expected a path, got an int"),
        (list[str], "abc", "x: expected a list, got a string"),
        (
            list[int],
            [1, "a", True],
            "x[1]: expected int, got a string; x[2]: expected int, got a boolean",
        ),
        (tuple[int, str], [1], "x: expected a list of 2, got a list of 1"),
        (dict[str, int], [], "x: expected an object, got a list of 0"),
        (dict[str, int], {"a": "b"}, "x[…]: expected int, got a string"),
        (dict[int, str], {"05": "a"}, "x[…]: expected a whole number as a key, got a string"),
        (dict[int, str], {"a": "a"}, "x[…]: expected a whole number as a key, got a string"),
        (list[int] | dict[str, int], 5, "x: expected list[int] or dict[str, int], got an int"),
        (Tree, {"left": {"right": 5}}, "x.left.right: expected an object, got an int"),
        (datetime.date, "soon", "x: expected an ISO 8601 date, got a string"),
        (uuid.UUID, "7", "x: expected a UUID, got a string"),
        (Literal["a", 1], True, "x: expected one of 'a', 1, got a boolean"),
        (Level, True, "x: expected one of 1, got a boolean"),
        (Point, [], "x: expected an object, got a list of 0"),
        (
            Point,
            {"y": "a", "z": 1},
            "missing: x.x; x.y: expected int, got a string; unexpected: x.z",
        ),
        (
            Node,
            {"value": 1, "children": [{"value": "a"}]},
            "x.children[0].value: expected int, got a string",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_place(
    annotation: Any, given: Any, fault: str
) -> None:
    with pytest.raises(BadPayload) as caught:
        takes(annotation).bind({"x": given})

    assert str(caught.value) == fault


def test_all_faults_of_a_payload_are_told_at_once() -> None:
    def function(path: str, width: int, color: str = "red") -> None: ...

    with pytest.raises(BadPayload) as caught:
        Binding.of(function).bind({"width": "wide", "colour": "blue", "x": 1})

    assert str(caught.value) == (
        "width: expected int, got a string; unexpected: colour (did you mean color?);"
        " unexpected: x; missing: path"
    )


def test_very_many_faults_are_cut_short() -> None:
    with pytest.raises(BadPayload, match=r"; and 990 more$"):
        takes(list[int]).bind({"x": ["a"] * 1000})


def test_no_value_of_a_payload_is_told() -> None:
    @attrs.frozen
    class Card:
        number: int = attrs.field()

        @number.validator
        def _check(self, attribute: Any, value: int) -> None:
            raise ValueError(f"not the number of a card: {value}")

    secret = "4929-1111"
    for annotation, given in (
        (int, secret), (Card, {"number": 49291111}), (dict[int, int], {secret: 1}),
        (dict[str, int], {secret: secret}), (list[int], [secret]), (uuid.UUID, secret),
        (Literal["a"], secret), (tuple[int, int], [secret]), (int | list[int], secret),
        (datetime.date, secret), (Card, {"number": [secret]}), (decimal.Decimal, secret),
    ):  # fmt: skip
        with pytest.raises(BadPayload) as caught:
            takes(annotation).bind({"x": given})
        assert "4929" not in str(caught.value)
        assert str(caught.value).startswith("x")


def test_arguments_that_are_not_given_keep_their_defaults() -> None:
    def function(path: str, width: int = 256) -> None: ...

    assert Binding.of(function).bind({"path": "a"}) == {"path": "a"}


@pytest.mark.parametrize(
    ("payload", "fits"),
    [
        ({"n": 1, "note": None}, True),
        ({"note": None, "n": 1}, True),
        ({"n": 1, "note": None, "items": [{}]}, True),
        ({"n": 1}, False),
        ({"note": None, "items": []}, False),
        ({"n": True, "note": None}, False),
        ({"n": 1.0, "note": None}, False),
        ({"n": 1, "note": None, "job": 1}, False),
        ({"n": 1, "note": None, "other": None}, False),
        ({}, False),
    ],
)
def test_what_fits_as_it_is_is_what_it_is_bound_to(payload: dict[str, Any], fits: bool) -> None:
    def function(job: trioq.Job, n: int, note: None, items: list = []) -> None: ...  # noqa: B006

    binding = Binding.of(function)
    assert binding.fits(payload) is fits
    if fits:
        assert binding.bind(payload) == payload


def test_a_field_that_takes_anything_or_is_left_over_is_bound_before_it_is_taken() -> None:
    def anything(x: Any) -> None: ...

    def rest(**x: int) -> None: ...

    assert not Binding.of(anything).fits({"x": 1})
    assert not Binding.of(rest).fits({"x": 1})


def test_kwargs_take_what_is_left_over() -> None:
    def function(path: str, **rest: int) -> None: ...

    binding = Binding.of(function)
    assert binding.bind({"path": "a", "n": 1}) == {"path": "a", "n": 1}
    assert binding.payload("a", n=1) == {"path": "a", "n": 1}
    with pytest.raises(BadPayload, match="n: expected int, got a string"):
        binding.bind({"path": "a", "n": "b"})


def test_a_field_cannot_take_the_place_of_the_job() -> None:
    def function(job: trioq.Job, **rest: Any) -> None: ...

    with pytest.raises(BadPayload, match="unexpected: job"):
        Binding.of(function).bind({"job": 1})
    with pytest.raises(TypeError, match="'job' is given by the engine"):
        Binding.of(function).payload(job=1)


def test_the_job_is_injected_only_by_an_annotation_that_is_exactly_job() -> None:
    def exact(work: trioq.Job, path: str) -> None: ...
    def shares(work: trioq.Job[list[int]], path: str) -> None: ...
    def by_name(job, path: str) -> None: ...  # type: ignore[no-untyped-def]
    def optional(job: trioq.Job | None) -> None: ...
    def second(path: str, job: trioq.Job) -> None: ...

    assert Binding.of(exact).job_parameter == "work"
    assert Binding.of(shares).job_parameter == "work"
    assert Binding.of(by_name).job_parameter is None
    for wrong in (optional, second):
        with pytest.raises(TypeError, match=r"'job' can't be the job: that is the first parameter"):
            Binding.of(wrong)


def positional_only(path: str, /) -> None: ...
def star_args(*paths: str) -> None: ...
def unknown_kind(limiter: trio.CapacityLimiter) -> None: ...
def unresolvable(path: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (positional_only, "path: 'str'"),
        (star_args, r"\*paths"),
        (unknown_kind, "'limiter', a CapacityLimiter"),
        (unresolvable, "Nowhere"),
    ],
)
def test_a_parameter_that_no_field_can_fill_is_refused_by_name(
    function: Callable[..., Any], named: str
) -> None:
    with pytest.raises(TypeError, match=named):
        Function("it", function)


def test_what_a_function_returns_need_not_be_resolvable() -> None:
    def function(path: str) -> Nowhere: ...  # type: ignore[name-defined] # noqa: F821

    assert Binding.of(function).bind({"path": "a"}) == {"path": "a"}


def test_a_parameter_of_another_kind_may_stay_at_its_default() -> None:
    def function(path: str, limiter: trio.CapacityLimiter = LIMITER) -> None: ...

    binding = Binding.of(function)
    assert binding.bind({"path": "a"}) == {"path": "a"}
    with pytest.raises(BadPayload, match="limiter: expected nothing, as no JSON value"):
        binding.bind({"path": "a", "limiter": 4})


def test_generators_are_not_handlers() -> None:
    async def asynchronous() -> Any:
        yield

    def synchronous() -> Any:
        yield

    for function in (asynchronous, synchronous):
        with pytest.raises(TypeError, match="doesn't yield"):
            Function("it", function)


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"timeout_s": 0},
        {"timeout_s": math.nan},
        {"queue": "no spaces"},
        {"on_lease_loss": "explode"},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"(?i)expected|must"):
        Function(**{"name": "it", "function": positional, **options})


def positional() -> None: ...


# --- calls to be run later ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (Path("a/b"), "a/b"),
        (uuid.UUID(int=7), str(uuid.UUID(int=7))),
        (datetime.datetime(2026, 1, 2), "2026-01-02T00:00:00"),
        (Colour.RED, "red"),
        (Size.SMALL, "s"),
        (Level.ONE, 1),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Node(1, [Node(2)]), {"value": 1, "children": [{"value": 2, "children": []}]}),
        ((1, "a"), [1, "a"]),
        ({"a"}, ["a"]),
        ({5: Path("a")}, {"5": "a"}),
        (b"abc", "VPaz"),
    ],
)
def test_values_of_a_call_become_json_and_come_back(value: Any, json_value: Any) -> None:
    annotation = {tuple: tuple[int, str], set: set[str], dict: dict[int, Path]}.get(
        type(value), Path if isinstance(value, Path) else type(value)
    )
    binding = takes(annotation)

    payload = binding.payload(value)

    assert payload == {"x": json_value}
    assert type(payload["x"]) is type(json_value)
    assert binding.bind(json.loads(json.dumps(payload))) == {"x": value}


def circle() -> list[Any]:
    itself: list[Any] = []
    itself.append(itself)
    return itself


@pytest.mark.parametrize(
    "value", [math.nan, -math.inf, [math.nan], object(), 1j, {(1, 2): 3}, circle()]
)
def test_what_json_cannot_hold_is_refused_with_its_field(value: Any) -> None:
    with pytest.raises(trioq.PayloadRejected, match=r"^x: "):
        takes(Any).payload(value)


def test_a_call_fails_as_python_calls_fail() -> None:
    def function(job: trioq.Job, path: str, *, width: int = 1) -> None: ...

    call = Binding.of(function).payload
    assert call("a", width=2) == call(path="a", width=2) == {"path": "a", "width": 2}
    for args, kwargs, message in [
        ((), {}, "missing a required argument: 'path'"),
        (("a", 2), {}, "too many positional arguments"),
        (("a",), {"path": "b"}, "multiple values for argument 'path'"),
        (("a",), {"colour": 1}, "unexpected keyword argument 'colour'"),
    ]:
        with pytest.raises(TypeError, match=message):
            call(*args, **kwargs)
