"""How configuration values are written.

A kind is one way of writing a value. It knows how to read it from what TOML gives, to
check it, to write it back, to name it to a person and to describe it in a JSON Schema.
The fields of :mod:`trioq.core.config` name their kinds; everything else is drawn from that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import attrs

from trioq.core.config.secret import Secret

Path = tuple[str | int, ...]
"""Where a value is: ``("queues", 1, "name")``."""

Problem = tuple[Path, str]
"""Where below the value something is wrong, and what."""


class Wrong(ValueError):
    """A value isn't of its kind."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(message for _, message in problems))


def shown(value: Any) -> str:
    """A value as a message shows it: short, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a very large number"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    return type_of(value)


def type_of(value: Any) -> str:
    """What a value is, without showing it: it may hold a secret."""
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a number", float: "a number", dict: "a table", Secret: "a secret"}
    if isinstance(value, list | tuple):
        return "a list"
    return names.get(type(value), f"a {type(value).__name__}")


@attrs.frozen(kw_only=True)
class Kind:
    """What all kinds have in common."""

    unit: ClassVar[str] = ""
    """How the names of fields of this kind end; the keys in TOML don't."""
    form: ClassVar[str] = ""
    """How a value is written, as it follows :meth:`words`, where that isn't plain."""

    hidden: bool = False
    """Messages don't repeat what the user wrote: it may hold a password by mistake."""
    secret: bool = False
    """Nothing shows the value at all."""
    empty_is_absent: bool = True
    """Whether an empty text says that there is none, where there may be none."""

    def words(self) -> str:
        """What is expected, as it follows "expected"."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """What is expected, as JSON Schema."""
        raise NotImplementedError

    def allows(self, value: Any) -> bool:
        """Whether this is a value of this kind."""
        raise NotImplementedError

    def parse(self, raw: Any) -> Any:
        """The value that was written as ``raw``; what can't be read comes back as it is."""
        return raw

    def write(self, value: Any) -> Any:
        """The inverse of :meth:`parse`: numbers, text, lists and dicts, for TOML."""
        return value

    def from_text(self, text: str) -> Any:
        """What TOML would have given for what stands in an environment variable."""
        return text

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        """What is wrong with a value; ``raw`` is what the user wrote."""
        if not self.allows(value):
            got = type_of(raw) if self.hidden or self.secret else shown(raw)
            yield (), f"expected {self.words()}{self.form}, got {got}"

    def read(self, raw: Any) -> Any:
        """Parse and check.

        Raises:
          Wrong: With all problems.
        """
        value = self.parse(raw)
        if wrong := list(self.problems(value, raw)):
            raise Wrong(wrong)
        return value


def is_a(kind: Kind, of: str) -> Any:
    """An attrs validator for a field that the program gives, by the configuration's rules.

    It raises ``ValueError``: ``the limit's burst: expected …, got …``.

    Args:
      of: What has the field, as it stands before the field's name: ``the limit's``.
    """

    def check(_: object, field: attrs.Attribute[Any], value: Any) -> None:
        for _, message in kind.problems(value, value):
            raise ValueError(f"{of} {field.name}: {message}")

    return check


@attrs.frozen(kw_only=True)
class Flag(Kind):
    """True or false."""

    def words(self) -> str:
        return "true or false"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def allows(self, value: Any) -> bool:
        return isinstance(value, bool)

    def from_text(self, text: str) -> Any:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)


@attrs.frozen(kw_only=True)
class Text(Kind):
    """Text; with a ``pattern`` it matches as a whole, with ``choices`` it is one of them."""

    noun: str = "text"
    pattern: str = r"(?s:.+)"
    choices: tuple[str, ...] = ()

    def words(self) -> str:
        return "one of " + ", ".join(self.choices) if self.choices else self.noun

    def schema(self) -> dict[str, Any]:
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        # JSON Schema speaks ECMAScript's dialect, which has no (?s:…).
        pattern = self.pattern.replace("(?s:.+)", r"[\s\S]+").replace("(?s:.*)", r"[\s\S]*")
        return {"type": "string", "pattern": f"^(?:{pattern})$"}

    def allows(self, value: Any) -> bool:
        return (
            isinstance(value, str)
            and "\0" not in value
            and not re.search("[\ud800-\udfff]", value)  # an environment that isn't UTF-8
            and (value in self.choices if self.choices else bool(re.fullmatch(self.pattern, value)))
        )


@attrs.frozen
class ListOf(Kind):
    """A list, held as a tuple."""

    item: Kind
    at_least: int = 0

    def words(self) -> str:
        some = "a list" if not self.at_least else f"a list of at least {self.at_least}"
        return f"{some}, each {self.item.words()}"

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(), "minItems": self.at_least}

    def parse(self, raw: Any) -> Any:
        return tuple(map(self.item.parse, raw)) if isinstance(raw, list) else raw

    def write(self, value: Any) -> Any:
        return [self.item.write(item) for item in value]

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        if not isinstance(value, tuple):
            yield (), f"expected {self.words()}, got {type_of(raw)}"
        elif len(value) < self.at_least:
            yield (), f"expected {self.words()}, got {len(value)}"
        else:
            for index, item in enumerate(value):
                for below, message in self.item.problems(item, raw[index]):
                    yield (index, *below), message


@attrs.frozen
class OneOrMore(Kind):
    """A value, or a list of them, held as a tuple."""

    item: Text

    def words(self) -> str:
        return f"{self.item.words()}, or a list of such"

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.item.schema(), self._list().schema()]}

    def parse(self, raw: Any) -> Any:
        return self._of(raw).parse(raw)

    def write(self, value: Any) -> Any:
        return self._of(value).write(value)

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        if isinstance(value, tuple):
            yield from self._list().problems(value, raw)
            if len(set(value)) < len(value):
                yield (), "one of them is there twice"
        elif not self.item.allows(value):
            yield (), f"expected {self.words()}, got {shown(raw)}"

    def _of(self, value: Any) -> Kind:
        return self._list() if isinstance(value, list | tuple) else self.item

    def _list(self) -> Kind:
        return ListOf(self.item, at_least=1)


@attrs.frozen
class TableOf(Kind):
    """A table whose keys the user chooses."""

    key: Text
    item: Kind

    def words(self) -> str:
        return f"a table, each key {self.key.words()}, each value {self.item.words()}"

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": self.key.schema(),
            "additionalProperties": self.item.schema(),
        }

    def parse(self, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {key: self.item.parse(item) for key, item in raw.items()}

    def write(self, value: Any) -> Any:
        return {key: self.item.write(item) for key, item in value.items()}

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield (), f"expected {self.words()}, got {type_of(raw)}"
            return
        for key, item in value.items():
            for below, message in self.key.problems(key, key):
                yield (key, *below), message
            for below, message in self.item.problems(item, raw[key]):
                yield (key, *below), message
