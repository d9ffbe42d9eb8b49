"""Keys from the environment: ``TRIOQ_WORKER__COUNT=32``.

A variable is named like its key, with ``__`` between the steps. Text is taken as it is;
numbers, ``true`` and ``false`` are read; lists and tables are TOML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tomli

from trioq.core.config.keys import Section, entries
from trioq.core.config.kinds import Kind, ListOf, Path, TableOf
from trioq.core.config.rules import dotted, nearest
from trioq.core.config.sections import Config
from trioq.settings.layers import Layer, Tree, merge

PREFIX = "TRIOQ_"
NOT_KEYS = ("TRIOQ_TEST_", "TRIOQ_FAILPOINT")
"""What the tests and the failpoints of trioq itself use."""

ANY_NAME = "<NAME>"

Target = tuple[Path, Kind | Section]


def from_environment(environ: Mapping[str, str], commands: Iterable[str] = ()) -> Layer:
    """What the environment sets.

    ``commands`` are the names that the file uses: ``MAKE_PDF`` in a variable's name
    means the command ``make-pdf`` if there is one.
    """
    commands = list(commands)
    tree: Tree = {}
    variables: dict[Path, str] = {}
    lines: list[str] = []
    wrong: list[Path] = []
    # Fewer steps first: TRIOQ_WORKER__COUNT wins over the count in TRIOQ_WORKER.
    for variable in sorted(_ours(environ), key=lambda name: (name.count("__"), name)):
        target = _target(Config, variable.removeprefix(PREFIX), (), commands)
        if target is None:
            shown = variable if variable.isprintable() else repr(variable)
            lines.append(f"{shown}: unknown variable{_meant(variable)}")
            continue
        path, kind = target
        try:
            value = _value(kind, environ[variable])
        except (ValueError, RecursionError) as error:
            lines.append(f"{variable}: {dotted(path)}: not a TOML value: {error}")
            wrong.append(path)
            continue
        for key in merge(tree, _nested(path, value), Config):
            variables[key] = variable
    return Layer(tree, variables, lines, wrong)


def variable_of(path: Path) -> str:
    """The variable that sets a key."""
    return PREFIX + "__".join(map(_word, map(str, path)))


def all_variables() -> Iterator[str]:
    """The names of all variables; a command's has ``<NAME>`` in it."""
    return _variables(Config, PREFIX)


def _ours(environ: Mapping[str, str]) -> list[str]:
    return [name for name in environ if name.startswith(PREFIX) and not name.startswith(NOT_KEYS)]


def _word(key: str) -> str:
    return key if key == ANY_NAME else re.sub(r"[^A-Z0-9]", "_", key.upper())


def _target(section: type, rest: str, path: Path, commands: list[str]) -> Target | None:
    """The key that the rest of a variable's name means."""
    for entry in entries(section).values():
        here, kind = (*path, entry.key), entry.kind
        if rest == _word(entry.key):
            return here, kind
        if not rest.startswith(_word(entry.key) + "__") or not isinstance(kind, Section):
            continue
        below = rest[len(entry.key) + 2 :]
        if kind.shape == "one":
            return _target(kind.of, below, here, commands)
        if kind.shape == "named":
            name, below = _command(below, commands)
            here = (*here, name)
            return _target(kind.of, below, here, commands) if below else (here, Section(kind.of))
    return None


def _command(rest: str, commands: list[str]) -> tuple[str, str]:
    """A command's name and what follows it."""
    for name in sorted(commands, key=len, reverse=True):
        word = _word(name)
        if rest == word or rest.startswith(word + "__"):
            return name, rest[len(word) + 2 :]
    name, _, rest = rest.partition("__")
    return name.lower(), rest


def _value(kind: Kind | Section, text: str) -> Any:
    if isinstance(kind, Kind) and not isinstance(kind, ListOf | TableOf):
        return kind.from_text(text)
    try:
        read = tomli.loads(f"value = {text}")
    except tomli.TOMLDecodeError as error:
        raise ValueError(error.msg) from None  # its place would count our "value = "
    if set(read) != {"value"}:
        raise ValueError("expected one value")
    return read["value"]


def _nested(path: Path, value: Any) -> Tree:
    for key in reversed(path):
        value = {key: value}
    tree: Tree = value
    return tree


def _meant(variable: str) -> str:
    known = list(all_variables())
    if found := re.match(f"{PREFIX}COMMANDS__(.+?)__", variable):
        known = [name.replace(ANY_NAME, found[1]) for name in known]
    close = nearest(variable, known)
    return f"; did you mean {close}?" if close else ""


def _variables(section: type, prefix: str) -> Iterator[str]:
    for entry in entries(section).values():
        name = prefix + _word(entry.key)
        yield name
        if isinstance(entry.kind, Section) and entry.kind.shape == "one":
            yield from _variables(entry.kind.of, f"{name}__")
        elif isinstance(entry.kind, Section) and entry.kind.shape == "named":
            yield from _variables(entry.kind.of, f"{name}__{ANY_NAME}__")
