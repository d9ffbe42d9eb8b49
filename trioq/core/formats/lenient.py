"""Reads JSON that anybody may have written: what isn't what it should be is left out.

For what is shown and counted. Whatever a run of a job rests on is read strictly, by
:mod:`trioq.core.formats.record`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trioq.core.valid import LARGEST, LATEST_MS


def members(encoded: bytes | str | None) -> dict[str, Any] | None:
    """The members of a JSON object; None: it isn't one."""
    if encoded is None:
        return None
    try:
        value = json.loads(encoded)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text(value: Any, default: str = "") -> str:
    """A text that can be printed and sent: half a surrogate pair is written as an escape."""
    if not isinstance(value, str):
        return default
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def optional_text(value: Any) -> str | None:
    """The same; None where it isn't a text."""
    return text(value) if isinstance(value, str) else None


def texts(value: Any) -> tuple[str, ...]:
    """The texts of a list."""
    return tuple(text(each) for each in value if isinstance(each, str)) if _is_list(value) else ()


def items(value: Any) -> tuple[Any, ...] | None:
    """What is in a list; None where it is none."""
    return tuple(value) if isinstance(value, list) else None


def count(value: Any) -> int:
    """A whole number from 0 up; 0 where it is anything else."""
    return value if _is_whole(value) and 0 <= value <= LARGEST else 0


def time_ms(value: Any) -> int | None:
    """A time in epoch milliseconds; None where it can't be one."""
    return value if _is_whole(value) and 0 <= value <= LATEST_MS else None


def seconds(value: Any) -> float:
    """A duration; 0 where it can't be one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= LARGEST else 0.0


def offset(value: Any) -> float:
    """What one clock is before another, or behind it; 0 where it can't be that."""
    return -seconds(-value) if _is_negative(value) else seconds(value)


def fraction(value: Any) -> float | None:
    """A number from 0 to 1; None where it isn't one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list."""
    return (each for each in value if isinstance(each, dict)) if _is_list(value) else iter(())


def pairs(value: Any) -> Mapping[str, Any]:
    """An object's members, their names as texts that can be printed."""
    return {text(name): each for name, each in value.items()} if isinstance(value, dict) else {}


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_negative(value: Any) -> bool:
    return isinstance(value, int | float) and value < 0


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
