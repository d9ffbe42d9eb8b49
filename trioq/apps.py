"""The apps that a configuration names, as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from trioq.app import App
from trioq.cwd import working_directory
from trioq.errors import ConfigError
from trioq.importing import import_object

Where = str | Sequence[str]
"""``module:attribute``, or several of them."""


def load_app(where: Where, directory: Path) -> App:
    """The app that a configuration names; of several, one that includes all of them.

    The configuration's directory comes first on the path, then the current one, if there is one.

    Raises:
      ConfigError: All that is wrong: with the module, the places tried and the original traceback;
          and what two of them have, and may not.
    """
    return load_from(where, places_of(directory))


def load_from(where: Where, places: Sequence[Path]) -> App:
    """The same, looked for first in these places."""
    if isinstance(where, str):
        return _load(where, places, "app")
    if len(where) == 1:
        return _load(where[0], places, "app")
    apps, faults = dict[str, App](), list[str]()
    for index, each in enumerate(where):
        try:
            apps[each] = _load(each, places, f"app[{index}]")
        except ConfigError as error:
            faults += error.faults
    if faults := [*faults, *_clashes(apps)]:
        raise ConfigError(faults)
    whole = App()
    for app in apps.values():
        whole.include(app)
    return whole


def _load(where: str, places: Sequence[Path], key: str) -> App:
    app = import_object(where, places, key=key)
    if not isinstance(app, App):
        raise ConfigError(
            [f"{key}: {where!r} is an object of type {type(app).__name__}, not a trioq.App"]
        )
    return app


def _clashes(apps: dict[str, App]) -> Iterator[str]:
    for (first, one), (second, other) in combinations(apps.items(), 2):
        for told in one.clashes(other):
            yield f"app: {first} and {second}: {told}"


def places_of(directory: Path) -> list[Path]:
    """Where what a configuration names is looked for first, by the configuration's directory."""
    here = working_directory()
    return [directory.resolve(), *([] if here is None else [here])]
