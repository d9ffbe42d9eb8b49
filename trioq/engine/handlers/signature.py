"""What a handler takes, as a short text: engines tell by it whether theirs are the same.

It is the same in every process, whatever the order of parameters, and says nothing of defaults but
that there are some. Where two differ, a payload that doesn't fit one may fit the other.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
from collections.abc import Iterator
from types import UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints, is_typeddict

import attrs

from trioq.engine.handlers.binding import Binding
from trioq.engine.handlers.command import Command
from trioq.engine.handlers.function import Function
from trioq.engine.handlers.invoke import Handler
from trioq.engine.handlers.runners import Apart

#: Digits of it: a handler has a few versions at a time.
LENGTH = 10

#: Classes within classes within classes: one may hold itself.
DEEPEST = 4

#: Where an object lies is another place in each process.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def signature_of(handler: Handler) -> str:
    """That of what payloads of its jobs may be."""
    text = "\n".join(_lines(handler))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:LENGTH]


def _lines(handler: Handler) -> Iterator[str]:
    if isinstance(handler, Command):
        yield from ("command", *sorted(handler.fields))
        return
    function = handler.function if isinstance(handler, Apart) else handler
    if isinstance(function, Function):
        yield from _of_binding(function.binding)


def _of_binding(binding: Binding) -> Iterator[str]:
    for name, field in sorted(binding.fields.items()):
        must = "" if name in binding.required else "?"
        yield f"{name}{must}: {text_of(field.annotation)}"
    if binding.rest is not None:
        yield f"**: {text_of(binding.rest.annotation)}"


def text_of(annotation: Any, deeper: int = DEEPEST) -> str:
    """An annotation, and of a class that is made of fields, those too."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " | ".join(sorted(text_of(each, deeper) for each in args))
    if origin is not None:
        inner = ", ".join(text_of(each, deeper) for each in args)
        return f"{text_of(origin, deeper)}[{inner}]"
    if isinstance(annotation, NewType):
        return f"{_named(annotation)}({text_of(annotation.__supertype__, deeper)})"
    if isinstance(annotation, list | tuple):  # of a Callable's parameters, say
        return f"[{', '.join(text_of(each, deeper) for each in annotation)}]"
    if not isinstance(annotation, type):
        return _named(annotation) or _ADDRESS.sub("", repr(annotation))
    return f"{_named(annotation)}{_inside(annotation, deeper)}"


def _named(of: Any) -> str:
    """By which it is found; empty: it is no class, nor anything that is called."""
    name = getattr(of, "__qualname__", None) or getattr(of, "__name__", None)
    return f"{of.__module__}.{name}" if isinstance(name, str) and name else ""


def _inside(kind: type, deeper: int) -> str:
    if issubclass(kind, enum.Enum):
        return f"({', '.join(sorted(repr(member.value) for member in kind))})"
    if not deeper or (fields := _fields(kind)) is None:
        return ""
    try:
        hints = get_type_hints(kind)
    except (NameError, TypeError):
        hints = {}
    told = (
        f"{name}{'' if must else '?'}: {text_of(hints.get(name, Any), deeper - 1)}"
        for name, must in sorted(fields.items())
    )
    return f"({', '.join(told)})"


def _fields(kind: type) -> dict[str, bool] | None:
    """Field → whether it must be given; None: it isn't made of fields."""
    if attrs.has(kind):
        return {each.name: each.default is attrs.NOTHING for each in attrs.fields(kind)}
    if dataclasses.is_dataclass(kind):
        return {each.name: _is_bare(each) for each in dataclasses.fields(kind)}
    if is_typeddict(kind):
        must: frozenset[str] = kind.__required_keys__  # type: ignore[attr-defined]
        return {name: name in must for name in kind.__annotations__}
    return None


def _is_bare(field: dataclasses.Field[Any]) -> bool:
    none = dataclasses.MISSING
    return field.default is none and field.default_factory is none
