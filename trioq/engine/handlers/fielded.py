"""Which fields payloads may have, as far as handlers' annotations tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from trioq.engine.handlers.binding import Binding
from trioq.engine.handlers.function import Function
from trioq.engine.handlers.invoke import Handler
from trioq.engine.handlers.runners import Apart

#: Fields within fields within fields: a class may hold itself.
DEEPEST = 2


def may_have(handler: Handler, path: str) -> bool:
    """Whether payloads of its jobs may have a value in this field, as far as its annotations
    tell."""
    function = handler.function if isinstance(handler, Apart) else handler
    return not isinstance(function, Function) or _takes(function.binding, path.split("."))


def fields_of(handler: Handler) -> Iterator[str]:
    """Those that annotations name, also ``customer.id`` for one within another."""
    function = handler.function if isinstance(handler, Apart) else handler
    if isinstance(function, Function):
        for name, field in function.binding.fields.items():
            yield from _within(name, field.annotation, DEEPEST)


def _within(path: str, annotation: Any, deeper: int) -> Iterator[str]:
    yield path
    of = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    for each in of if deeper else ():
        for name, inner in (_fields(each) or {}).items():
            yield from _within(f"{path}.{name}", inner, deeper - 1)


def _takes(binding: Binding, steps: list[str]) -> bool:
    field = binding.fields.get(steps[0]) or binding.rest
    return field is not None and _reaches(field.annotation, steps[1:])


def _reaches(annotation: Any, steps: list[str]) -> bool:
    if not steps:
        return True
    if get_origin(annotation) in (Union, UnionType):
        return any(_reaches(each, steps) for each in get_args(annotation))
    if (fields := _fields(annotation)) is None:
        # What a mapping holds can't be known here; a text or a number holds nothing.
        return annotation not in (str, int, float, bool, type(None))
    return steps[0] in fields and _reaches(fields[steps[0]], steps[1:])


def _fields(annotation: Any) -> Mapping[str, Any] | None:
    """The fields of a class that is made of fields, and their types; None: it isn't one."""
    of = get_origin(annotation) or annotation
    if not isinstance(of, type):
        return None
    if attrs.has(of):
        names = [field.name for field in attrs.fields(of)]
    elif dataclasses.is_dataclass(of):
        names = [field.name for field in dataclasses.fields(of)]
    else:
        return None
    try:
        hints = get_type_hints(of)
    except NameError:
        hints = {}
    return {name: hints.get(name, Any) for name in names}
