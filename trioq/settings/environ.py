"""Keys from the environment: ``TRIOQ_WORKER__COUNT=32``.

A variable is named like its key, with ``__`` between the steps. Text is taken as it is;
numbers, ``true`` and ``false`` are read; lists and tables are TOML.

Others may use our prefix without knowing of us: Kubernetes does for a Service named ``trioq…``.
So a variable is a fault where it must be one of ours, and else only worth a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import tomli

from trioq.core.config.keys import Section, entries
from trioq.core.config.kinds import Kind, ListOf, OneOrMore, Path, TableOf
from trioq.core.config.rules import dotted, nearest
from trioq.core.config.sections import Config
from trioq.failpoints import is_idle
from trioq.settings.find import VARIABLE
from trioq.settings.layers import Layer, Tree, merge
from trioq.settings.meanings import meant

PREFIX = "TRIOQ_"
NOT_KEYS = ("TRIOQ_TEST_", "TRIOQ_FAILPOINT")
"""What the tests and the failpoints of trioq itself use."""
OF_COMMANDS = (VARIABLE, "TRIOQ_API", "TRIOQ_API_TOKEN", "TRIOQ_API_TOKEN_FILE")
"""Say where commands look: which configuration, and which API with what token."""

OF_SERVICES = re.compile(
    r"TRIOQ.*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?"
    r"|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes tells a pod of a Service; and a ``…_PORT`` that is a URL."""

FAILPOINT_NOTE = "TRIOQ_FAILPOINT: ignored; only trioq's own tests can make an engine fail"

ANY_NAME = "<NAME>"

NO_FILE: Mapping[str, Any] = MappingProxyType({})

Target = tuple[Path, Kind | Section]


def from_environment(environ: Mapping[str, str], file: Mapping[str, Any] = NO_FILE) -> Layer:
    """What the environment sets.

    ``file`` is what the file says, for the names that it uses: ``MAKE_PDF`` in a variable's
    name means the command ``make-pdf`` if there is one.
    """
    tree: Tree = {}
    variables: dict[Path, str] = {}
    lines: list[str] = []
    wrong: list[Path] = []
    others: list[str] = []
    notes = [FAILPOINT_NOTE] if is_idle(environ) else []
    # A section comes before its keys: TRIOQ_WORKER__COUNT wins over the count in TRIOQ_WORKER.
    for variable in sorted(_ours(environ)):
        target = _target(Config, variable.removeprefix(PREFIX), (), file)
        if target is None:
            shown = variable if variable.isprintable() else repr(variable)
            if _is_of_services(variable, environ[variable]):
                others.append(shown)
            elif _must_be_ours(variable):
                lines.append(f"{shown}: unknown variable{_meant(variable)}")
            else:
                notes.append(f"{shown}: ignored, no key is named so{_meant(variable)}")
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
    if others:
        notes.append(_about_services(others))
    quoted = {variable for variable in variables.values() if _is_quoted(environ[variable])}
    return Layer(tree, variables, lines, wrong, notes, quoted)


def variable_of(path: Path) -> str:
    """The variable that sets a key."""
    return PREFIX + "__".join(map(_word, map(str, path)))


def all_variables() -> Iterator[str]:
    """The names of all variables; that of a command or a limit has ``<NAME>`` in it."""
    return _variables(Config, PREFIX)


def _ours(environ: Mapping[str, str]) -> list[str]:
    names = [name for name in environ if name.startswith(PREFIX) and name not in OF_COMMANDS]
    return [name for name in names if not name.startswith(NOT_KEYS)]


def _is_of_services(variable: str, text: str) -> bool:
    is_url = variable.endswith("_PORT") and "://" in text
    return is_url or OF_SERVICES.fullmatch(variable) is not None


def _about_services(others: list[str]) -> str:
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return (
        f"{others[0]}{more}: ignored; Kubernetes sets such variables for a Service, and not with"
        " enableServiceLinks: false"
    )


def _must_be_ours(variable: str) -> bool:
    """Whether nobody else would name a variable so: it has our steps, or all but them."""
    return "__" in variable or variable.upper() in {
        name.replace("__", "_") for name in all_variables()
    }


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def _word(key: str) -> str:
    return key if key == ANY_NAME else re.sub(r"[^A-Z0-9]", "_", key.upper())


def _target(section: type, rest: str, path: Path, file: Mapping[str, Any]) -> Target | None:
    """The key that the rest of a variable's name means."""
    for entry in entries(section).values():
        here, kind = (*path, entry.key), entry.kind
        if rest == _word(entry.key):
            return here, kind
        if not rest.startswith(_word(entry.key) + "__") or not isinstance(kind, Section):
            continue
        below = rest[len(entry.key) + 2 :]
        if kind.shape == "one":
            return _target(kind.of, below, here, file)
        if kind.shape == "named":
            names = file.get(entry.key)
            name, below = _named(below, names if isinstance(names, dict) else ())
            here = (*here, name)
            return _target(kind.of, below, here, file) if below else (here, Section(kind.of))
    return None


def _named(rest: str, names: Iterable[str]) -> tuple[str, str]:
    """The name that the user chose, such as a command's, and what follows it."""
    for name in sorted(names, key=len, reverse=True):
        word = _word(name)
        if rest == word or rest.startswith(word + "__"):
            return name, rest[len(word) + 2 :]
    name, _, rest = rest.partition("__")
    return name.lower(), rest


def _value(kind: Kind | Section, text: str) -> Any:
    is_text = not isinstance(kind, ListOf | TableOf | OneOrMore) or (
        isinstance(kind, OneOrMore) and not text.lstrip().startswith("[")
    )
    if isinstance(kind, Kind) and is_text:
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
    steps = variable.removeprefix(PREFIX).lower().split("__")
    if ours := meant(tuple(steps)):
        key, comma, why = ours.partition(", ")
        path = key.split(".") if "." in key else [*steps[:-1], key]
        return f"; did you mean {variable_of(tuple(path))}{comma}{why}?"
    known = list(all_variables())
    if found := re.match(f"{PREFIX}(?:COMMANDS|LIMITS|BREAKERS|SCHEDULES)__(.+?)__", variable):
        known = [name.replace(ANY_NAME, found[1]) for name in known]
    # Without what they all begin with, or anything would be close.
    rest = [name.removeprefix(PREFIX) for name in known]
    close = nearest(variable.removeprefix(PREFIX), rest)
    return f"; did you mean {PREFIX}{close}?" if close else ""


def _variables(section: type, prefix: str) -> Iterator[str]:
    for entry in entries(section).values():
        name = prefix + _word(entry.key)
        yield name
        if isinstance(entry.kind, Section) and entry.kind.shape == "one":
            yield from _variables(entry.kind.of, f"{name}__")
        elif isinstance(entry.kind, Section) and entry.kind.shape == "named":
            yield from _variables(entry.kind.of, f"{name}__{ANY_NAME}__")
