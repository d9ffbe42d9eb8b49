"""Objects by name, from modules that lie beside a configuration."""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trioq.core.config.rules import did_you_mean
from trioq.errors import ConfigError


def import_object(where: str, places: Sequence[Path], *, key: str) -> Any:
    """The object that is called ``module:attribute``, or ``module:outer.attribute``.

    Args:
      places: Come first on ``sys.path``, in this order, and stay there: what the module
          imports later is found like it was.
      key: The key of the configuration that said so.

    Raises:
      ConfigError: One line, and for a module that fails the traceback from there on. The
          original is its cause.
    """
    module_name, _, attribute = where.partition(":")
    searched = _search_first(places)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a script that ends itself is no module, either
        said = f"{type(error).__name__}: {error}"
        raise ConfigError(
            [
                f"{key}: can't import {module_name!r} (looked in {' and '.join(searched)} first):"
                f" {said}{_from_there_on(error)}"
            ]
        ) from error
    try:
        return functools.reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        file = getattr(module, "__file__", None) or "no file"
        raise ConfigError(
            [f"{key}: {module_name!r} ({file}) has no {attribute!r}; it was named as {where!r}"]
        ) from error


def import_error(where: str, places: Sequence[Path], *, key: str) -> type[BaseException]:
    """The class of exceptions that is called ``module.Name``, or ``Name`` if it is built in.

    Args:
      places: As for :func:`import_object`.
      key: The key of the configuration that said so.

    Raises:
      ConfigError: It can't be imported, or is no such class.
    """
    if "." not in where and not hasattr(builtins, where):
        known = [name for name, value in vars(builtins).items() if _is_error(value)]
        hint = did_you_mean(where, known) or "; of others the module comes before the name"
        raise ConfigError([f"{key}: no built-in class is called {where!r}{hint}"])
    found = import_object(_with_module(where, places), places, key=key)
    if not _is_error(found):
        raise ConfigError([f"{key}: expected a class of exceptions, and {where!r} is none"])
    kind: type[BaseException] = found
    return kind


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _with_module(where: str, places: Sequence[Path]) -> str:
    """``a.b.C.D`` as ``module:attribute``: the longest that can be a module is one."""
    parts = where.split(".")
    if len(parts) == 1:
        return f"builtins:{where}"
    _search_first(places)
    for length in range(len(parts) - 1, 1, -1):
        # It imports what is around the module, which may raise anything; then that is told of by
        # whoever imports the outermost.
        with contextlib.suppress(Exception, SystemExit):
            if importlib.util.find_spec(".".join(parts[:length])) is not None:
                return f"{'.'.join(parts[:length])}:{'.'.join(parts[length:])}"
    return f"{parts[0]}:{'.'.join(parts[1:])}"


def _search_first(places: Sequence[Path]) -> list[str]:
    """Have modules looked for here first; these places, each once."""
    searched = [str(place) for place in dict.fromkeys(places)]
    sys.path[:] = [*searched, *(place for place in sys.path if place not in searched)]
    importlib.invalidate_caches()
    return searched


def _from_there_on(error: BaseException) -> str:
    """The traceback, from the first frame that isn't the import system's or ours."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith(
        ("trioq.importing", "importlib")
    ):
        frames = frames.tb_next
    if frames is not None:
        lines = traceback.format_exception(type(error), error, frames)
    elif isinstance(error, SyntaxError):  # of the module itself: it has the line
        lines = traceback.format_exception_only(error)
    else:
        return ""
    return "\n" + "".join(lines).rstrip()
