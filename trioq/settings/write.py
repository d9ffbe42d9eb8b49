"""Writes a configuration as TOML: ``trioq config show``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import attrs

from trioq.core.config.keys import Entry, Section, entries
from trioq.core.config.kinds import Kind, ListOf, Path, TableOf
from trioq.core.config.rules import dotted
from trioq.core.config.secret import MASK
from trioq.core.config.sections import Config


def as_toml(config: Config, *, masked: bool = True) -> str:
    """The whole configuration with all that was left to the defaults.

    Secrets are masked; with ``masked=False`` the text reads back as an equal
    configuration. Where a value came from the environment, a comment names the variable.
    """
    return "\n".join(_Writer(config, masked).table(config, ())).strip("\n") + "\n"


def toml_value(raw: Any) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str):
        # JSON escapes all that TOML wants escaped, but for DEL.
        return json.dumps(raw, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(raw, list):
        return f"[{', '.join(map(toml_value, raw))}]"
    if isinstance(raw, dict):
        inside = ", ".join(f"{toml_key(key)} = {toml_value(value)}" for key, value in raw.items())
        return f"{{ {inside} }}" if inside else "{}"
    return repr(raw)


def toml_key(key: str) -> str:
    """A key, quoted where it must be."""
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else toml_value(key)


@attrs.frozen
class _Writer:
    config: Config
    masked: bool

    def table(self, section: Any, path: Path) -> Iterator[str]:
        """The lines of a section: its own keys first, as TOML wants it."""
        below: list[tuple[Entry, Section]] = []
        for entry in entries(type(section)).values():
            value = getattr(section, entry.field)
            if value is None:
                continue
            if isinstance(entry.kind, Section):
                below.append((entry, entry.kind))
            else:
                yield self._pair(entry.kind, value, (*path, entry.key))
        for entry, kind in below:
            yield from self._sections(kind, getattr(section, entry.field), (*path, entry.key))

    def _sections(self, kind: Section, value: Any, path: Path) -> Iterator[str]:
        if kind.shape == "one":
            yield from self._headed(f"[{_header(path)}]", value, path)
        elif kind.shape == "named":
            for name, item in value.items():
                yield from self._headed(f"[{_header((*path, name))}]", item, (*path, name))
        else:
            if not value:
                yield f"\n# {dotted(path)}: not known"
            for item in value:
                yield from self._headed(f"[[{_header(path)}]]", item, path)

    def _headed(self, header: str, section: Any, path: Path) -> Iterator[str]:
        yield f"\n{header}{self._origin(path)}"
        yield from self.table(section, path)

    def _pair(self, kind: Kind, value: Any, path: Path) -> str:
        raw = _mask(kind, value) if self.masked else kind.write(value)
        return f"{toml_key(str(path[-1]))} = {toml_value(raw)}{self._origin(path)}"

    def _origin(self, path: Path) -> str:
        variable = self.config.environment.get(dotted(path))
        return f"  # from {variable}" if variable else ""


def _header(path: Path) -> str:
    return ".".join(toml_key(str(step)) for step in path)


def _mask(kind: Kind, value: Any) -> Any:
    """What may be shown of a value, as TOML."""
    if isinstance(kind, ListOf):
        return [_mask(kind.item, item) for item in value]
    if isinstance(kind, TableOf):
        return {key: _mask(kind.item, item) for key, item in value.items()}
    return MASK if kind.secret else kind.write(value)
