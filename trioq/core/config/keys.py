"""What a field of the configuration says of itself, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from trioq.core.config.kinds import Kind

Shape = Literal["one", "list", "named"]


@attrs.frozen
class Section:
    """A part of the configuration with a class of its own."""

    of: type
    shape: Shape = "one"
    """``[worker]``, ``[[queues]]``, or ``[commands.NAME]``."""


@attrs.frozen
class Entry:
    """What is known about one key."""

    key: str
    """In TOML."""
    field: str
    """In Python: the key and its unit."""
    kind: Kind | Section
    doc: str
    default: Any
    """``attrs.NOTHING`` if the key is required, or if the class works it out."""
    example: Any
    """As it is written in TOML; required keys have one."""
    required: bool

    @property
    def unsettable(self) -> bool:
        """Whether absent is a value of its own."""
        return self.default is None

    @property
    def is_unset_by_empty(self) -> bool:
        """Whether an empty text says that it is absent: TOML and variables have no null."""
        return self.unsettable and isinstance(self.kind, Kind) and self.kind.empty_is_absent


def about(kind: Kind | Section, doc: str, example: Any = None) -> dict[str, Any]:
    """The metadata of a field; a required one has an example, as it is written in TOML."""
    return {"kind": kind, "doc": doc, "example": example}


def key(kind: Kind | Section, doc: str, default: Any, **options: Any) -> Any:
    """A field that has a default."""
    return attrs.field(default=default, metadata=about(kind, doc), **options)


def entries(section: type) -> Mapping[str, Entry]:
    """The keys of a class, by name, in order."""
    return {entry.key: entry for entry in _entries(section)}


def _entries(section: Any) -> Iterator[Entry]:
    for field in attrs.fields(section):
        if "kind" not in field.metadata:
            continue
        kind, default = field.metadata["kind"], field.default
        required = default is attrs.NOTHING
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = attrs.NOTHING if default.takes_self else default.factory()
        yield Entry(
            key=field.name.removesuffix(kind.unit) if isinstance(kind, Kind) else field.name,
            field=field.name,
            kind=kind,
            doc=field.metadata["doc"],
            default=default,
            example=field.metadata["example"],
            required=required,
        )
