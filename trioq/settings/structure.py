"""From what TOML gives to frozen classes, with cattrs; and what was wrong on the way.

A value that can't be read is reported and taken out, so that what is left can be built
and the rules between the values can be tried as well: all faults come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, override

from trioq.core.config.keys import Entry, Section, entries
from trioq.core.config.kinds import Kind, Path, Wrong, type_of
from trioq.core.config.rules import Fault, did_you_mean, nearest
from trioq.core.config.sections import Config
from trioq.settings.layers import Tree
from trioq.settings.meanings import meant

Hook = Callable[[Any, Any], Any]


@attrs.frozen
class Found:
    """A fault, and how to go on without the value."""

    fault: Fault
    cut: Path
    """What to take out."""
    instead: Any = None
    """What to put there, where something has to be. (TOML has no null.)"""


def structure(tree: Tree) -> tuple[Config, list[Fault], list[Path]]:
    """Build the configuration; ``tree`` is changed.

    Returns:
      The configuration without the values that are wrong, the faults, and the keys that
      these are about.
    """
    try:
        return CONVERTER.structure(tree, Config), [], []
    except ClassValidationError as error:
        found = list(_found(error, (), None))
    for each in found:
        _cut(tree, each)
    wrong = [path for each in found for path in (each.cut, *each.fault.also)]
    return CONVERTER.structure(tree, Config), [each.fault for each in found], wrong


def _hook(section: type, converter: Converter) -> Hook:
    """How a table becomes an instance of a section's class."""
    overrides = {field.name: override(omit=True) for field in attrs.fields(section)}
    for entry in entries(section).values():
        overrides[entry.field] = override(rename=entry.key, struct_hook=_reader(entry, converter))
    build: Hook = make_dict_structure_fn(
        section,
        converter,
        _cattrs_forbid_extra_keys=True,
        **overrides,  # type: ignore[arg-type]
    )

    def read(raw: Any, _: Any) -> Any:
        if not isinstance(raw, dict):
            raise Wrong([((), f"expected a table, got {type_of(raw)}")])
        return build(raw, section)

    return read


def _reader(entry: Entry, converter: Converter) -> Hook:
    """How the value of a key is read."""
    kind = entry.kind
    if isinstance(kind, Kind):
        return lambda raw, _: None if entry.is_unset_by_empty and raw == "" else kind.read(raw)
    if kind.shape == "one":
        return lambda raw, _: converter.structure(raw, kind.of)
    if kind.shape == "list":
        return lambda raw, _: converter.structure(_some_tables(raw), tuple[kind.of, ...])  # type: ignore[name-defined]
    return lambda raw, _: _named(raw, kind.of, converter)


def _some_tables(raw: Any) -> list[Any]:
    if not isinstance(raw, list) or not raw:
        got = "an empty list" if raw == [] else type_of(raw)
        raise Wrong([((), f"expected a list of at least one table, got {got}")])
    return raw


def _named(raw: Any, section: Any, converter: Converter) -> Any:
    if not isinstance(raw, dict):
        raise Wrong([((), f"expected a table, got {type_of(raw)}")])
    values = converter.structure(raw, dict[str, section])
    return {name: attrs.evolve(value, name=name) for name, value in values.items()}


def _converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook_factory(attrs.has, lambda cls: _hook(cls, converter))
    return converter


CONVERTER = _converter()


def _found(error: BaseException, path: Path, entry: Entry | None) -> Iterator[Found]:
    """The faults in what cattrs raised while it read the key at ``path``."""
    instead = entry.example if entry is not None and entry.required else None
    match error:
        case ClassValidationError():
            yield from _in_section(error, path)
        case IterableValidationError():
            yield from _in_items(error, path, entry)
        case Wrong():
            for inside, message in error.problems:
                yield Found(Fault(path + inside, message), path, instead)
        case KeyError() if entry is not None and isinstance(entry.kind, Kind):
            yield Found(Fault(path, f"missing; expected {entry.kind.words()}"), path, instead)
        case _:
            raise error


def _in_section(error: ClassValidationError, path: Path) -> Iterator[Found]:
    known = entries(error.cl)
    by_field = {entry.field: entry for entry in known.values()}
    placed, others = error.group_exceptions()
    for inner in others:  # first, for a key that is missing is often one of these
        if not isinstance(inner, ForbiddenExtraKeysError):
            raise inner
        for key in sorted(inner.extra_fields):
            here = (*path, key)
            close = nearest(key, known)
            also = ((*path, close),) if close else ()
            if close.lower() != key.lower() and (by_meaning := meant(here)):
                hint = f"; did you mean {by_meaning}?"
            else:
                hint = did_you_mean(key, known) or f"; known here: {', '.join(known)}"
            yield Found(Fault(here, f"unknown key{hint}", also), here)
    for inner, note in placed:
        entry = by_field[note.name]
        yield from _found(inner, (*path, entry.key), entry)


def _in_items(error: IterableValidationError, path: Path, entry: Entry | None) -> Iterator[Found]:
    for inner, note in error.group_exceptions()[0]:
        here = (*path, note.index)
        for each in _found(inner, here, None):
            # An item that is left out would move those behind it.
            is_item = each.cut == here and isinstance(note.index, int)
            yield attrs.evolve(each, instead=_example(entry)) if is_item else each


def _example(entry: Entry | None) -> Tree:
    assert entry is not None
    assert isinstance(entry.kind, Section)
    return {each.key: each.example for each in entries(entry.kind.of).values() if each.required}


def _cut(tree: Tree, found: Found) -> None:
    parent: Any = tree
    for step in found.cut[:-1]:
        parent = parent[step]
    if found.instead is not None:
        parent[found.cut[-1]] = found.instead
    else:
        parent.pop(found.cut[-1], None)
