"""Which errors count for the breakers of handlers, where the configuration says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from trioq.apps import places_of
from trioq.core.config import Config, Fault
from trioq.core.config.rules import dotted
from trioq.core.guards import counted_by
from trioq.engine.handlers import Apart, Function, Handler
from trioq.errors import ConfigError
from trioq.importing import import_error


def counted(handlers: Mapping[str, Handler], config: Config) -> dict[str, Handler]:
    """The same handlers; where ``[breakers]`` says of which classes errors count, these do.

    Raises:
      ConfigError: One of these can't be imported.
    """
    said = {name: handler.errors.breaker for name, handler in handlers.items()}
    named, places = counted_by(said, config.breakers), places_of(config.directory)
    return {name: _counted(each, named.get(name), places) for name, each in handlers.items()}


def counting(function: Function, named: Sequence[str], places: Sequence[Path]) -> Function:
    """A function that has a breaker, for which only errors of these classes count.

    Raises:
      ConfigError: One of these can't be imported.
    """
    assert function.breaker is not None
    on = [import_error(where, places, key="on") for where in named]
    return attrs.evolve(function, breaker=attrs.evolve(function.breaker, on=on))


def error_faults(config: Config) -> Iterator[Fault]:
    """The classes that ``[breakers]`` names and that can't be imported, or are none."""
    places = places_of(config.directory)
    for name, section in config.breakers.items():
        for index, where in enumerate(section.on or ()):
            path = ("breakers", name, "on", index)
            try:
                import_error(where, places, key=dotted(path))
            except ConfigError as error:
                for line in error.faults:
                    yield Fault(path, line.removeprefix(f"{dotted(path)}: "))


def _counted(handler: Handler, named: Sequence[str] | None, places: Sequence[Path]) -> Handler:
    if named and isinstance(handler, Function):
        return counting(handler, named, places)
    if named and isinstance(handler, Apart):
        return attrs.evolve(handler, function=counting(handler.function, named, places))
    return handler
