"""Reads a configuration: file, environment and call, then the rules; all faults at once."""

from __future__ import annotations

import copy
import os
import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import tomli

from trioq.core.config.kinds import Path
from trioq.core.config.rules import Fault, dotted, faults
from trioq.core.config.sections import Config
from trioq.cwd import why_missing, working_directory
from trioq.errors import ConfigError
from trioq.settings.environ import from_environment
from trioq.settings.find import PROJECT, TABLE, URL
from trioq.settings.layers import Layer, Merged, Tree, merged, under
from trioq.settings.structure import structure

Also = Callable[[Config], Iterable[Fault]]
"""Finds more that is wrong. Of the configuration only what is right is there."""


def _nothing(_: Config) -> Iterable[Fault]:
    return ()


def load(
    path: str | pathlib.Path, *, environ: Mapping[str, str] = os.environ, also: Also = _nothing
) -> Config:
    """Read a configuration file.

    Arguments:
      path: The file. Relative paths in it are relative to its directory. Of a ``pyproject.toml``
          the table ``[tool.trioq]`` is read.
      environ: Where ``TRIOQ_…`` variables are looked up; they win over the file.
      also: Looks for more faults, as in the app; they come with the others.

    Raises:
      ConfigError: With all faults, one line each.
      TypeError: It is no path.
    """
    given: Any = path
    if not isinstance(given, str | os.PathLike):
        kind = type(given).__name__
        raise TypeError(f"a configuration is the path of its file, as text or a Path, not a {kind}")
    if URL.match(str(path)):
        raise ConfigError(
            [
                "a configuration is a TOML file, not a URL: that goes into it as redis.url, or into"
                " the variable TRIOQ_REDIS__URL; connect() takes it as url="
            ]
        )
    file = pathlib.Path(path)
    if reason := why_missing(file):
        raise ConfigError([f"{path}: {reason}"])
    text = _text(file, str(path))
    # Absolute, so that the program may change its directory later.
    directory = file.absolute().parent
    table = TABLE if file.name == PROJECT else None
    config = parse(
        text, name=str(path), directory=directory, environ=environ, also=also, table=table
    )
    return attrs.evolve(config, path=file.absolute())


def parse(
    text: str,
    *,
    name: str,
    directory: str | pathlib.Path,
    environ: Mapping[str, str] = os.environ,
    also: Also = _nothing,
    table: str | None = None,
) -> Config:
    """Read a configuration from its text; ``name`` is what faults call it.

    Args:
      table: Which part of the text is ours, such as ``tool.trioq``; None: all of it.

    Raises:
      ConfigError: With all faults, one line each.
    """
    tree = _tree(text, name)
    if table is not None:
        tree, name = _part(tree, table, name), f"{name}: [{table}]"
    layers = [Layer(tree), from_environment(environ, tree)]
    return _config(layers, name, pathlib.Path(directory), also=also)


def from_trees(
    trees: Sequence[Mapping[str, Any]],
    *,
    name: str,
    directory: str | pathlib.Path,
    environ: Mapping[str, str] = os.environ,
    also: Also = _nothing,
) -> Config:
    """A configuration from tables as TOML would give them, such as a framework has in its settings.

    Args:
      trees: A later one wins, key by key; the environment wins over all.
      name: What faults call it.

    Raises:
      ConfigError: With all faults, one line each.
    """
    laid = merged([Layer(copy.deepcopy(dict(tree))) for tree in trees]).tree
    layers = [Layer(copy.deepcopy(dict(tree))) for tree in trees]
    layers.append(from_environment(environ, laid))
    return _config(layers, name, pathlib.Path(directory), also=also)


def from_url(
    url: str, *, namespace: str | None = None, environ: Mapping[str, str] = os.environ
) -> Config:
    """The configuration of a program that knows only where Redis is.

    What isn't said here comes from the environment, then from the defaults. The queues
    aren't known (``queues`` is empty) unless the environment lists them.

    Raises:
      ConfigError: With all faults, one line each.
    """
    call: Tree = {"redis": {"url": url}}
    if namespace is not None:
        call["namespace"] = namespace
    layers = [from_environment(environ), Layer(call)]
    known = "queues" in layers[0].tree
    return _config(layers, "connect", working_directory() or pathlib.Path(), queues_are_known=known)


def tree_of_file(path: str | pathlib.Path) -> Tree:
    """The tables of a configuration's file, of which nothing is checked yet.

    Raises:
      ConfigError: There is none, or it isn't TOML.
    """
    return _tree(_text(pathlib.Path(path), str(path)), str(path))


def read_again(text: str, directory: pathlib.Path) -> Config:
    """The configuration that :func:`~trioq.settings.write.as_toml` has written, secrets and all.

    Args:
      directory: From where what it names is found.
    """
    config, _, _ = structure(_tree(text, "the configuration"))
    return attrs.evolve(config, directory=directory)


def _text(file: pathlib.Path, name: str) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        # A server of web programs has often another directory than a shell.
        there = "" if file.is_absolute() else f" in {working_directory() or 'no directory'}"
        raise ConfigError([f"{name}: no such file{there}"]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError([f"{name}: can't be read: {reason}"]) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{name}: not UTF-8 in line {line}"]) from None


def _tree(text: str, name: str) -> Tree:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError([f"{name}: not TOML: {place}: {error.msg}"]) from None
    except RecursionError:
        raise ConfigError([f"{name}: not TOML: too deeply nested"]) from None
    except ValueError as error:  # a number of more than 4,300 digits
        raise ConfigError([f"{name}: not TOML: {error}"]) from None


def _part(tree: Tree, table: str, name: str) -> Tree:
    part: Any = tree
    for key in table.split("."):
        part = part.get(key) if isinstance(part, dict) else None
    if not isinstance(part, dict):
        raise ConfigError([f"{name}: it has no table [{table}]"])
    return part


def _config(
    layers: Sequence[Layer],
    source: str,
    directory: pathlib.Path,
    *,
    queues_are_known: bool = True,
    also: Also = _nothing,
) -> Config:
    all_of_it = merged(layers)
    config, wrong_values, wrong = structure(all_of_it.tree)
    config = attrs.evolve(config, directory=directory, source=source)
    if not queues_are_known:
        config = attrs.evolve(config, queues=())
    wrong += [path for layer in layers for path in layer.wrong]
    wrong += [fault.path for fault in all_of_it.faults]
    combined = [*faults(config), *also(config)]
    found = [*all_of_it.faults, *wrong_values, *_not_about(wrong, combined)]
    lines = [line for layer in layers for line in layer.lines]
    quoted = {variable for layer in layers for variable in layer.quoted}
    lines += [_line(fault, source, all_of_it, quoted) for fault in found]
    if lines:
        raise ConfigError(lines)
    environment = {dotted(path): name for path, name in all_of_it.variables.items()}
    notes = [note for layer in layers for note in layer.notes]
    notes += [
        f"{name}: its text begins and ends with a quote, which is part of {key}; is it meant?"
        for key, name in environment.items()
        if name in quoted
    ]
    return attrs.evolve(config, environment=environment, notes=tuple(notes))


def _not_about(wrong: Sequence[Path], found: Iterable[Fault]) -> Iterator[Fault]:
    """Leave out combinations with values that have been reported already."""
    for fault in found:
        if not any(under(path, wrong) for path in (fault.path, *fault.also)):
            yield fault


def _line(fault: Fault, source: str, merged: Merged, quoted: Collection[str]) -> str:
    """``jobqueue.toml: worker.count: expected …``, or with the variable in front."""
    here, others = _variable(fault.path, merged), []
    for path in fault.also:
        variable = _variable(path, merged)
        if variable not in (None, here):
            others.append(f"{dotted(path)} is from {variable}")
    also = f" ({'; '.join(others)})" if others else ""
    if here in quoted:
        also += "; the quotes are part of the text here: write it without them"
    return f"{here or source}: {dotted(fault.path)}: {fault.message}{also}"


def _variable(path: Path, merged: Merged) -> str | None:
    above = under(path, merged.variables)
    return merged.variables[above] if above is not None else None
