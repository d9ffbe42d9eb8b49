"""Objects by name, from modules that lie beside a configuration."""

from __future__ import annotations

import functools
import importlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    searched = [str(place) for place in dict.fromkeys(places)]
    sys.path[:] = [*searched, *(place for place in sys.path if place not in searched)]
    importlib.invalidate_caches()
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


def _from_there_on(error: BaseException) -> str:
    """The traceback, from the first frame that isn't the import system's or ours."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith(
        ("trioq.importing", "importlib")
    ):
        frames = frames.tb_next
    if frames is None:
        return ""
    lines = traceback.format_exception(type(error), error, frames)
    return "\n" + "".join(lines).rstrip()
