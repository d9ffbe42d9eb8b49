"""Describes the configuration: a JSON Schema for editors, a page for people."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import attrs

from trioq.core.config.keys import Entry, Section, entries
from trioq.core.config.kinds import Kind, Path
from trioq.core.config.sections import Config
from trioq.settings.environ import ANY_NAME, variable_of
from trioq.settings.write import toml_value

INTRODUCTION = """\
# Configuration

<!-- Drawn from trioq/core/config by `python -m trioq.settings docs`; change it there. -->

A configuration is a TOML file. Every key has a default unless it says *required*; the
file [`jobqueue.toml`](../jobqueue.toml) shows them all. Unknown keys, values of the
wrong type and combinations that can't work are reported all at once, each with its path
and with what would be right:

```
jobqueue.toml: worker.count: expected a whole number from 1 to 1000, got 'four'
```

`trioq config check` does so without starting anything, and tells what doesn't fit the app's
handlers with it. `trioq config show` prints what is in effect, secrets masked, and
`trioq config schema` a JSON Schema for editors: an editor with Taplo, such as VS Code with
"Even Better TOML", completes and checks a file whose first line is `#:schema FILE`, as the
sample's does with [`jobqueue.schema.json`](jobqueue.schema.json).

**Durations** are text, `"500ms"`, `"30s"`, `"5m"`, `"1h"` or `"2d"`, or a plain number of
seconds. **Sizes** are text, `"64kB"` or `"1MiB"`, or a plain number of bytes. **Paths** are
relative to the directory of the file.

**An empty text**, `""` or an empty variable, unsets a key that may be absent; but `key` and
`fair` refuse it: what is meant for each value would be for all together.

**The environment** can set every key and wins over the file. A variable is named like its
key, with `__` between the steps: `TRIOQ_WORKER__COUNT=32`. Text is taken as it is, lists
and tables are TOML: `TRIOQ_QUEUES='[{name="high"}]'`. A variable with `__` in it that means no
key is a fault, and so is one that only lacks them (`TRIOQ_WORKER_COUNT`); any other `TRIOQ_…` may
be somebody else's, such as what Kubernetes sets for a Service named `trioq`, and is told by
`trioq config check` and at the start.
"""

SPOKEN_DEFAULTS: dict[Path, str] = {("default_queue",): "the last queue"}


def schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of the file.

    It knows each value by itself; the rules between values are only known to
    ``trioq config check``.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trioq configuration",
        **_table_schema(Config),
    }


def reference() -> str:
    """``docs/configuration.md``."""
    return "\n".join([INTRODUCTION, *_section_page(Config, (), "")])


def _table_schema(section: type) -> dict[str, Any]:
    known = entries(section)
    described: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _key_schema(entry) for key, entry in known.items()},
    }
    if required := [key for key, entry in known.items() if entry.required]:
        described["required"] = required
    return described


def _key_schema(entry: Entry) -> dict[str, Any]:
    described: dict[str, Any] = {"description": entry.doc}
    if isinstance(entry.kind, Section):
        table = _table_schema(entry.kind.of)
        match entry.kind.shape:
            case "one":
                return {**described, **table}
            case "list":
                return {**described, "type": "array", "minItems": 1, "items": table}
            case "named":
                return {**described, "type": "object", "additionalProperties": table}
    if entry.default not in (None, attrs.NOTHING):
        described["default"] = entry.kind.write(entry.default)
    value = entry.kind.schema()
    if entry.is_unset_by_empty:
        value = {"anyOf": [value, {"const": ""}]}
    return {**described, **value}


def _section_page(section: type, path: Path, doc: str) -> Iterator[str]:
    known = entries(section).values()
    own = [(entry, entry.kind) for entry in known if isinstance(entry.kind, Kind)]
    if path:
        yield f"\n## {_heading(path)}\n"
        yield doc
        yield ""
    yield "| key | value | default | what it is for |"
    yield "| --- | --- | --- | --- |"
    for entry, kind in own:
        words, default = _cell(kind.words(), plain=True), _default(entry, kind, path)
        yield f"| `{entry.key}` | {words} | {default} | {_cell(entry.doc)} |"
    if own and "queues" not in path:
        yield f"\nVariables: `{variable_of((*path, own[0][0].key))}` and so on."
    elif "queues" in path:
        yield "\nVariable: `TRIOQ_QUEUES`, all queues at once."
    for entry in known:
        if isinstance(entry.kind, Section):
            named = (ANY_NAME,) if entry.kind.shape == "named" else ()
            doc = inspect.getdoc(entry.kind.of) or entry.doc
            yield from _section_page(entry.kind.of, (*path, entry.key, *named), doc)


def _heading(path: Path) -> str:
    dotted = ".".join(map(str, path)).replace(ANY_NAME, "NAME")
    return f"`[[{dotted}]]`" if path == ("queues",) else f"`[{dotted}]`"


def _default(entry: Entry, kind: Kind, path: Path) -> str:
    if entry.required:
        return "*required*"
    if entry.default is None:
        return "absent"
    if entry.default is attrs.NOTHING:
        return SPOKEN_DEFAULTS[(*path, entry.key)]
    return f"`{_cell(toml_value(kind.write(entry.default)))}`"


def _cell(text: str, *, plain: bool = False) -> str:
    """What stands in a cell; in ``plain`` text a star is only a star."""
    text = text.replace("|", "\\|").replace("\n", " ")
    return text.replace("*", "\\*") if plain else text
