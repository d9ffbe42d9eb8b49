"""JSON values to what annotations ask for, strictly, and back.

A payload was made by a program, perhaps an older one, so nothing is guessed: ``"5"`` is not
an int, ``true`` is not one either, a string isn't a list of letters, and a class takes
no fields that it hasn't got. An int may stand for a float, as in JSON itself. cattrs does
the work; the hooks here replace those of its own that convert where they should refuse.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import types
import uuid
from collections import abc
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.cols import list_structure_factory
from cattrs.gen import mapping_structure_factory
from cattrs.preconf.json import JsonConverter, make_converter

Hook = Callable[[Any, Any], Any]

#: Types whose values JSON gives us as they are.
NATIVE: tuple[type, ...] = (str, bool, int, float)

#: What a JSON list can become.
_FROM_LIST: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    tuple: tuple,
    set: set,
    abc.MutableSet: set,
    frozenset: frozenset,
    abc.Set: frozenset,
    collections.deque: collections.deque,
}
_FROM_OBJECT = (dict, abc.Mapping, abc.MutableMapping)

#: What a JSON string can become: how it is read, and what it is called.
_FROM_TEXT: dict[type, tuple[Callable[[str], Any], str]] = {
    Path: (Path, "a path"),
    PurePath: (PurePath, "a path"),
    uuid.UUID: (uuid.UUID, "a UUID"),
    decimal.Decimal: (decimal.Decimal, "a decimal number in a string"),
    datetime.datetime: (datetime.datetime.fromisoformat, "an ISO 8601 date and time"),
    datetime.date: (datetime.date.fromisoformat, "an ISO 8601 date"),
    datetime.time: (datetime.time.fromisoformat, "an ISO 8601 time"),
}

#: What JSON's values are called.
_NOUNS: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an int",
    float: "a float",
    types.NoneType: "null",
    dict: "an object",
}


class Misfit(TypeError):
    """A value isn't what the annotation asks for.

    The value itself isn't told: this goes into logs, and payloads hold what logs must not.
    """

    def __init__(self, expected: str, value: Any) -> None:
        super().__init__(f"expected {expected}, got {_kind(value)}")


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return _NOUNS.get(type(value), "something else")


class _WholeKey:
    """An int as a key: JSON has only strings there."""


def faults_of(error: BaseException, path: str) -> Iterator[str]:
    """What is wrong with a value, a line for each place, from what structuring it raised.

    Of an error that isn't ours, as that of a class's own validator, only the type is told: what
    it says may hold the value.
    """
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from faults_of(inner, path + _step(inner))
    elif isinstance(error, ForbiddenExtraKeysError):
        yield from (f"unexpected: {path}.{field}" for field in sorted(error.extra_fields))
    elif isinstance(error, KeyError) and _step(error):
        yield f"missing: {path}"
    else:
        yield f"{path}: {error if isinstance(error, Misfit) else type(error).__name__}"


def _step(error: BaseException) -> str:
    """From the value that was structured to the part where this went wrong."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f".{note.name}"
        if isinstance(note, IterableValidationNote):
            # An index; the keys of a mapping are values of the payload, too.
            return f"[{note.index}]" if isinstance(note.index, int) else "[…]"
    return ""


def noun(annotation: Any) -> str:
    """An annotation, for people."""
    if annotation is types.NoneType:
        return "null"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def _native(kind: type) -> Hook:
    def structure(value: Any, wanted: Any) -> Any:
        if wanted is not kind and issubclass(wanted, enum.Enum):  # class Size(int, Enum)
            return _member(value, wanted)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise Misfit(noun(kind), value)
        return value if wanted is kind else wanted(value)

    return structure


def _text(read: Callable[[str], Any], called: str) -> Hook:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not str:
            raise Misfit(called, value)
        try:
            return read(value)
        except (ValueError, ArithmeticError):
            raise Misfit(called, value) from None

    return structure


def _whole_key(value: Any, _: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise Misfit("a whole number as a key", value) from None
    if str(number) != value:
        raise Misfit("a whole number as a key", value)
    return number


def _member(value: Any, wanted: type[enum.Enum]) -> enum.Enum:
    # By type too: True == 1, and that must not find the member whose value is 1.
    for member in wanted:
        if type(member.value) is type(value) and member.value == value:
            return member
    raise Misfit("one of " + ", ".join(repr(member.value) for member in wanted), value)


def _literal(annotation: Any) -> Hook:
    choices = [(c.value if isinstance(c, enum.Enum) else c, c) for c in get_args(annotation)]

    def structure(value: Any, _: Any) -> Any:
        for plain, choice in choices:
            if type(plain) is type(value) and plain == value:
                return choice
        raise Misfit("one of " + ", ".join(repr(plain) for plain, _ in choices), value)

    return structure


def _list_like(annotation: Any, converter: JsonConverter) -> Hook:
    origin, args = get_origin(annotation) or annotation, get_args(annotation)
    if origin is tuple and args and args[-1] is not Ellipsis:
        return _fixed_tuple(args, converter)
    alias: Any = types.GenericAlias(list, args[:1] or (Any,))
    items = list_structure_factory(alias, converter)
    make = _FROM_LIST[origin]

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise Misfit("a list", value)
        return make(items(value, annotation))

    return structure


def _fixed_tuple(kinds: tuple[Any, ...], converter: JsonConverter) -> Hook:
    hooks = [_hook(kind, converter) for kind in kinds]

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list or len(value) != len(kinds):
            raise Misfit(f"a list of {len(kinds)}", value)
        return tuple(hook(v, k) for hook, v, k in zip(hooks, value, kinds, strict=True))

    return structure


def _object(structure_object: Callable[[Any, Any], Any]) -> Hook:
    def structure(value: Any, wanted: Any) -> Any:
        if type(value) is not dict:
            raise Misfit("an object", value)
        return structure_object(value, wanted)

    return structure


def _mapping(annotation: Any, converter: JsonConverter) -> Hook:
    key, item = get_args(annotation) or (Any, Any)
    alias: Any = types.GenericAlias(dict, (_WholeKey if key is int else key, item))
    return _object(mapping_structure_factory(alias, converter, structure_to=dict))


def _union(annotation: Any, converter: JsonConverter) -> Hook:
    """The exact JSON types first, then the others in their order."""
    arms = get_args(annotation)
    exact = {arm for arm in arms if arm in (*NATIVE, types.NoneType)}
    others = [(arm, _hook(arm, converter)) for arm in arms if arm not in exact]

    def structure(value: Any, _: Any) -> Any:
        if type(value) in exact:
            return value
        for arm, hook in others:
            try:
                return hook(value, arm)
            except Exception:
                if len(arms) == 2 and types.NoneType in exact:
                    raise  # what is wrong with X says more than that it isn't "X or null"
        if float in exact and type(value) is int:
            return float(value)
        raise Misfit(" or ".join(map(noun, arms)), value)

    return structure


def _hook(annotation: Any, converter: JsonConverter) -> Hook:
    try:
        return converter.get_structure_hook(annotation)
    except RecursionError:  # a class that holds its like: found when it is needed
        return converter.structure


def _origin_is(*origins: Any) -> Callable[[Any], bool]:
    return lambda annotation: (get_origin(annotation) or annotation) in origins


def _is_class_with_fields(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and (attrs.has(kind) or dataclasses.is_dataclass(kind))


def _strict_converter() -> JsonConverter:
    made = make_converter(detailed_validation=True, forbid_extra_keys=True)
    read_bytes = made.get_structure_hook(bytes)
    for native in (*NATIVE, types.NoneType):
        made.register_structure_hook(native, _native(native))
    for kind, (read, called) in _FROM_TEXT.items():
        made.register_structure_hook(kind, _text(read, called))
    made.register_structure_hook(
        bytes, _text(lambda text: read_bytes(text, bytes), "bytes as base85")
    )
    made.register_structure_hook(_WholeKey, _whole_key)
    for kind in (PurePath, uuid.UUID, decimal.Decimal):
        made.register_unstructure_hook(kind, str)
    made.register_unstructure_hook(datetime.time, datetime.time.isoformat)

    made.register_structure_hook_factory(
        lambda t: isinstance(t, type) and issubclass(t, enum.Enum), lambda _: _member
    )
    made.register_structure_hook_factory(_origin_is(Literal), _literal)
    made.register_structure_hook_factory(
        _is_class_with_fields, lambda kind: _object(made.gen_structure_attrs_fromdict(kind))
    )
    made.register_structure_hook_factory(_origin_is(*_FROM_LIST), lambda a: _list_like(a, made))
    made.register_structure_hook_factory(_origin_is(*_FROM_OBJECT), lambda a: _mapping(a, made))
    made.register_structure_hook_factory(
        _origin_is(Union, types.UnionType), lambda a: _union(a, made)
    )
    return made


CONVERTER = _strict_converter()
