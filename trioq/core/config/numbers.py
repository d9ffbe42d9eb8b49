"""The kinds of numbers: plain ones, durations, sizes."""

from __future__ import annotations

import datetime
import math
import re
from fractions import Fraction
from typing import Any, ClassVar

import attrs

from trioq.core.config.kinds import Kind

YEAR_S = 365 * 86400.0
SECONDS = {
    "d": Fraction(86400),
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
}
BYTES = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "GB": 10**9, "MB": 10**6, "kB": 1000, "B": 1}


@attrs.frozen(kw_only=True)
class Number(Kind):
    """A number within bounds; where ``above`` is given, it excludes itself."""

    noun: ClassVar[str] = "a number"

    at_least: float = 0
    above: float | None = None
    at_most: float | None = None

    def words(self) -> str:
        high = "" if self.at_most is None else self._show(self.at_most)
        if self.above is not None:
            bounds = f"above {self._show(self.above)}" + (high and f" and at most {high}")
        elif high:
            bounds = f"from {self._show(self.at_least)} to {high}"
        else:
            bounds = f"of at least {self._show(self.at_least)}"
        return f"{self.noun} {bounds}"

    def _show(self, bound: float) -> str:
        return str(self.write(bound))

    def schema(self) -> dict[str, Any]:
        low = {"minimum": self.at_least} if self.above is None else {"exclusiveMinimum": self.above}
        high = {} if self.at_most is None else {"maximum": self.at_most}
        return {"type": "number", **low, **high}

    def allows(self, value: Any) -> bool:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (isinstance(value, int) or math.isfinite(value))
            and (value >= self.at_least if self.above is None else value > self.above)
            and (self.at_most is None or value <= self.at_most)
        )

    def parse(self, raw: Any) -> Any:
        return _as_float(raw)

    def write(self, value: Any) -> Any:
        return int(value) if value == round(value) and abs(value) < 2**53 else value

    def from_text(self, text: str) -> Any:
        return _number(text)


@attrs.frozen(kw_only=True)
class Whole(Number):
    """A whole number."""

    noun = "a whole number"

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "type": "integer"}

    def allows(self, value: Any) -> bool:
        return isinstance(value, int) and super().allows(value)

    def parse(self, raw: Any) -> Any:
        return raw


@attrs.frozen(kw_only=True)
class Duration(Number):
    """A time, in seconds; written ``"500ms"``, or as a plain number of seconds."""

    unit = "_s"
    noun = "a duration"
    form = ', such as "500ms", "30s" or "5m"'
    pattern: ClassVar[str] = r"[0-9]{1,15}(\.[0-9]{1,30})?(ms|s|m|h|d)"

    at_most: float | None = 10 * YEAR_S

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                super().schema(),
                {"type": "string", "pattern": f"^{self.pattern}$"},
            ]
        }

    def parse(self, raw: Any) -> Any:
        if isinstance(raw, str) and (found := re.fullmatch(self.pattern, raw)):
            return float(Fraction(raw.removesuffix(found[2])) * SECONDS[found[2]])
        return _as_float(raw)

    def write(self, value: Any) -> Any:
        for unit, seconds in SECONDS.items():
            count = round(Fraction(value) / seconds)
            # By way of parse, so that a float comes back as exactly the same float.
            if self.parse(f"{count}{unit}") == value and (count or unit == "s"):
                return f"{count}{unit}"
        return value


@attrs.frozen(kw_only=True)
class Frequency(Number):
    """So many in a second; written ``"5/m"``, or as a plain number for a second."""

    noun = "a rate"
    form = ', such as 100 (in a second), "5/m" or "1000/h"'
    pattern: ClassVar[str] = r"[0-9]{1,15}(\.[0-9]{1,15})?/(s|m|h|d)"

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                super().schema(),
                {"type": "string", "pattern": f"^{self.pattern}$"},
            ]
        }

    def parse(self, raw: Any) -> Any:
        if isinstance(raw, str) and re.fullmatch(self.pattern, raw):
            count, unit = raw.split("/")
            return float(Fraction(count) / SECONDS[unit])
        return _as_float(raw)

    def write(self, value: Any) -> Any:
        for unit in "smhd":
            text = f"{round(Fraction(value) * SECONDS[unit])}/{unit}"
            # By way of parse, so that a float comes back as exactly the same float.
            if self.parse(text) == value:
                return text if unit != "s" else int(value)
        return value


def seconds_of(time: Any) -> Any:
    """A time in seconds, of a text such as ``"1h"`` or a timedelta; all else as it is."""
    if isinstance(time, datetime.timedelta):
        return time.total_seconds()
    return Duration().parse(time) if isinstance(time, str) else time


@attrs.frozen(kw_only=True)
class Size(Number):
    """A number of bytes; written ``"1MiB"``, or as a plain number."""

    unit = "_bytes"
    noun = "a size"
    form = ', such as "64kB" or "1MiB"'
    pattern: ClassVar[str] = r"[0-9]{1,16}(\.[0-9]{1,15})?(GiB|MiB|KiB|GB|MB|kB|B)"

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {**super().schema(), "type": "integer"},
                {"type": "string", "pattern": f"^{self.pattern}$"},
            ]
        }

    def allows(self, value: Any) -> bool:
        return isinstance(value, int) and super().allows(value)

    def parse(self, raw: Any) -> Any:
        if isinstance(raw, str) and (found := re.fullmatch(self.pattern, raw)):
            count = Fraction(raw.removesuffix(found[2])) * BYTES[found[2]]
            return int(count) if count.denominator == 1 else raw
        return raw

    def write(self, value: Any) -> Any:
        unit = next(unit for unit, size in BYTES.items() if value % size == 0)
        return f"{int(value) // BYTES[unit]}{unit}"


@attrs.frozen
class Growth:
    """So many bytes more than there were at first."""

    bytes: int


@attrs.frozen(kw_only=True)
class Memory(Size):
    """A number of bytes, or with a ``+`` a :class:`Growth`."""

    unit = ""
    noun = "a size"
    form = ', such as "2GiB", or "+500MB" for so much more than at the start'

    def schema(self) -> dict[str, Any]:
        whole, text = super().schema()["anyOf"]
        return {"anyOf": [whole, {**text, "pattern": rf"^\+?{self.pattern}$"}]}

    def allows(self, value: Any) -> bool:
        return super().allows(value.bytes if isinstance(value, Growth) else value)

    def parse(self, raw: Any) -> Any:
        if isinstance(raw, str) and raw.startswith("+"):
            more = super().parse(raw[1:])
            return Growth(more) if isinstance(more, int) else raw
        return super().parse(raw)

    def from_text(self, text: str) -> Any:
        return text if text.startswith("+") else super().from_text(text)

    def write(self, value: Any) -> Any:
        is_growth = isinstance(value, Growth)
        return f"+{super().write(value.bytes)}" if is_growth else super().write(value)


@attrs.frozen(kw_only=True)
class CountOrAuto(Whole):
    """A whole number, or ``"auto"``: as many as the machine has use for."""

    def words(self) -> str:
        return f'{super().words()} or "auto"'

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [super().schema(), {"const": "auto"}]}

    def allows(self, value: Any) -> bool:
        return value == "auto" or super().allows(value)

    def write(self, value: Any) -> Any:
        return value if value == "auto" else super().write(value)


def _as_float(raw: Any) -> Any:
    whole = isinstance(raw, int) and not isinstance(raw, bool)
    return float(raw) if whole and abs(raw) < 2**53 else raw


def _number(text: str) -> Any:
    """A number, if it is written like one in TOML."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?", text):
        return float(text)
    return text
