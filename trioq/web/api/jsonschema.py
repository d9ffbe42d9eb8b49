"""Fields as JSON Schema."""

from __future__ import annotations

import types
from datetime import datetime
from typing import Any, Literal, get_args, get_origin

from trioq.core.convert import CONVERTER
from trioq.web.operations.fields import Field

PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}


def schema_of(field: Field, *, of_form: bool = False) -> dict[str, Any]:
    """What a field may be.

    Args:
      field: The field.
      of_form: As a parameter of a query says it: that has no null.
    """
    arms = [_of(arm) for arm in field.arms]
    is_optional = not field.required and field.default is None
    if is_optional and not of_form:
        arms.append({"type": "null"})
    told = arms[0] if len(arms) == 1 else _united(arms)
    if not field.required and field.default not in (None, "", [], {}):
        told = {**told, "default": CONVERTER.unstructure(field.default)}
    return told


def _united(arms: list[dict[str, Any]]) -> dict[str, Any]:
    if all(each.keys() == {"type"} for each in arms):
        return {"type": list(dict.fromkeys(each["type"] for each in arms))}
    return {"anyOf": arms}


def _of(kind: Any) -> dict[str, Any]:
    if kind in PLAIN:
        return dict(PLAIN[kind])
    origin = get_origin(kind)
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin is list:
        return {"type": "array", "items": _of(get_args(kind)[0])}
    if origin is dict or kind is dict:
        return {"type": "object"}
    assert not isinstance(kind, types.NoneType)
    raise TypeError(f"{kind} has no schema here")
