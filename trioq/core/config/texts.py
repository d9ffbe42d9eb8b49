"""The kinds of text that stand in a configuration: names, templates, URLs, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter
from typing import Any

import attrs

from trioq.core.config import redis_url
from trioq.core.config.kinds import Kind, ListOf, OneOrMore, Problem, Text
from trioq.core.config.secret import Secret
from trioq.core.valid import QUEUE_PATTERN

NAME = Text(noun='a name of 1 to 64 letters, digits, "_", "-" or "."', pattern=QUEUE_PATTERN)
QUEUE = attrs.evolve(NAME, noun="the name of a queue")
PATH = Text(noun="a path")
GLOBS = ListOf(Text(noun='a pattern such as "**/*.pdf"'))
EXTENSION = Text(noun='an extension such as ".pdf"', pattern=r"\.[^/\s]+")
OBJECT = Text(noun='an object such as "myproject.jobs:app"', pattern=r"\w+(\.\w+)*:\w+(\.\w+)*")
OBJECTS = OneOrMore(OBJECT)
ADDRESS = Text(
    noun='an address such as "127.0.0.1:8620" or "[::1]:8620", or "" for none',
    pattern=r"([^\s:\[\]/@]+|\[[0-9A-Fa-f:.]+\]):"
    r"([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])|",
)
# A user or password in it would be shown by every listing, so there can't be one.
ENDPOINT = Text(
    noun='a URL such as "http://localhost:4318", without user and password, or "" for none',
    pattern=r"https?://[^\s/@]+(/[^\s@]*)?|",
    hidden=True,
)
HANDLER = Text(
    noun="the name of a handler: 1 to 200 printable characters", pattern=r"[^\x00-\x1f\x7f]{1,200}"
)
FIELD = Text(
    noun='a field of the payload, such as "tenant", or "customer.id" for one within another',
    pattern=r"[^.\s\x00-\x1f\x7f][^.\x00-\x1f\x7f]*(\.[^.\s\x00-\x1f\x7f][^.\x00-\x1f\x7f]*)*",
    # What is meant for each value would be for all of them together.
    empty_is_absent=False,
)
FAIR_KEY = Text(noun='a value of that field, 7 as "7"', pattern="(?s:.*)")
ERROR = Text(
    noun='a class of exceptions as Python imports it, such as "httpx.TransportError" or "OSError"',
    pattern=r"[^\W\d]\w*(\.[^\W\d]\w*)*",
)
VARIABLE = Text(noun="the name of an environment variable", pattern=r"[^=\s]+")


@attrs.frozen(kw_only=True)
class Template(Text):
    """Text with ``{field}`` where a field of the payload goes; ``{{`` is a brace."""

    noun: str = 'text with placeholders such as "{path}" ("{{" for a brace)'
    pattern: str = r"(?s:.*)"

    def allows(self, value: Any) -> bool:
        try:
            return super().allows(value) and all(
                field.isidentifier() for field in placeholders(value)
            )
        except ValueError:
            return False


@attrs.frozen(kw_only=True)
class RedisAddress(Text):
    """A Redis URL, without user, password and database: those have fields of their own."""

    noun: str = redis_url.EXPECTED
    pattern: str = r"(embedded:|rediss?://|unix://)(?s:.+)"
    hidden: bool = True

    def problems(self, value: Any, raw: Any) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield from super().problems(value, raw)
            return
        try:
            parts = redis_url.split(value)
        except ValueError as error:
            yield (), str(error)
            return
        if parts.url != value.removesuffix("/"):
            yield (), "user, password and database have fields of their own (RedisConfig.from_url)"


@attrs.frozen(kw_only=True)
class Hidden(Kind):
    """Text that is never shown, wrapped into a :class:`Secret`."""

    secret: bool = True

    def words(self) -> str:
        return "text"

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def allows(self, value: Any) -> bool:
        return isinstance(value, Secret) and Text(pattern="(?s:.*)").allows(value.reveal())

    def parse(self, raw: Any) -> Any:
        return Secret(raw) if isinstance(raw, str) else raw

    def write(self, value: Any) -> Any:
        return value.reveal()


def placeholders(template: str) -> tuple[str, ...]:
    """The fields of the payload that a template names.

    Only plain names: ``str.format_map`` on a template that passed this can't reach into
    a value's attributes or items.

    Raises:
      ValueError: A brace without its partner, a conversion, or a format.
    """
    fields = []
    for _, field, form, conversion in Formatter().parse(template):
        if form or conversion:
            raise ValueError(f"{field!r} has a format or a conversion")
        if field is not None:
            fields.append(field)
    return tuple(fields)
