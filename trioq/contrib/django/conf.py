"""From Django's settings to a configuration of trioq.

``TRIOQ`` has the keys of a configuration file, or names one as ``CONFIG``, or both: what the
settings say then wins over the file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from trioq import Config, ConfigError
from trioq.client.opening import patience_of
from trioq.contrib.django.queues import DEFAULT, Priorities
from trioq.settings import from_trees, tree_of_file

#: What stands in ``TRIOQ`` beside the keys of a configuration, each in capitals.
OWN = ("CONFIG", "SCHEDULES", "MODULES", "PATIENCE")

#: Where engines find all handlers: what the configuration's ``app`` becomes.
APP = "trioq.contrib.django.engine:app"

HERE = "trioq.contrib.django."

#: What a schedule of a task has in the place of ``job`` and ``payload``.
CALL = ("task", "args", "kwargs")

Tree = dict[str, Any]


@attrs.frozen
class Made:
    """What the settings say."""

    config: Config
    apps: tuple[str, ...]
    """The program's own, as ``module:attribute``: what ``app`` said."""
    modules: tuple[str, ...]
    """The modules of installed apps that are imported for their handlers."""
    patience: Any
    """Of clients."""


_made: Made | None = None


def made() -> Made:
    """What the settings say, read once.

    Raises:
      ImproperlyConfigured: All that is wrong.
    """
    global _made  # noqa: PLW0603
    if (found := _made) is None:
        try:
            _made = found = read()
        except ConfigError as error:
            raise ImproperlyConfigured("\n".join(error.faults)) from None
    return found


def _forget(*, setting: str, **_: Any) -> None:
    """Tests change settings."""
    global _made  # noqa: PLW0603
    if setting in ("TRIOQ", "TASKS", "TIME_ZONE", "BASE_DIR"):
        _made = None


setting_changed.connect(_forget)


def read() -> Made:
    """What the settings say.

    Raises:
      ConfigError: All that is wrong.
    """
    said = getattr(settings, "TRIOQ", {})
    if not isinstance(said, Mapping):
        raise ConfigError([f"settings.TRIOQ: expected a dict, not a {type(said).__name__}"])
    if wrong := list(_unknown(said)):
        raise ConfigError(wrong)
    patience, modules = said.get("PATIENCE"), said.get("MODULES", ("tasks",))
    if wrong := [*_wrong_patience(patience), *_wrong_modules(modules)]:
        raise ConfigError(wrong)
    below = plain({key: value for key, value in said.items() if key not in OWN})
    directory, name, file, trees = base(), "settings.TRIOQ", None, list[Tree]()
    if (path := said.get("CONFIG")) is not None:
        file = directory / path
        directory, name = file.absolute().parent, f"{file}, or settings.TRIOQ"
        trees.append(tree_of_file(file))
    trees.append(below)
    if scheduled := said.get("SCHEDULES"):
        trees.append({"schedules": dict(_schedules(scheduled))})
    if not any("queues" in tree for tree in trees):
        trees.insert(0, _queues())
    own = next((tree["app"] for tree in reversed(trees) if "app" in tree), ())
    trees.append({"app": APP})
    config = from_trees(trees, name=name, directory=directory)
    if file is not None:
        config = attrs.evolve(config, path=file.absolute())
    apps = (own,) if isinstance(own, str) else tuple(own)
    return Made(config, apps, tuple(modules), patience)


def backends() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Those of ``TASKS`` that are ours, by their aliases."""
    for alias, said in (getattr(settings, "TASKS", None) or {}).items():
        if _is_ours(str(said.get("BACKEND", ""))):
            yield alias, said


def _is_ours(where: str) -> bool:
    """Whether it is trioq's backend, or a class that a project has made of it."""
    if where.startswith(HERE):
        return True
    try:
        kind = import_string(where)
    except ImportError:  # Django tells of it
        return False
    return any(base.__module__.startswith(HERE) for base in getattr(kind, "__mro__", ()))


def priorities(options: Mapping[str, Any]) -> Priorities:
    """Of a backend.

    Raises:
      ValueError: What is wrong.
    """
    return Priorities.of(options.get("priorities", DEFAULT))


def plain(value: Any) -> Any:
    """As TOML would have it."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value.total_seconds() if isinstance(value, timedelta) else value


def _unknown(said: Mapping[Any, Any]) -> Iterator[str]:
    for key in said:
        if not isinstance(key, str):
            yield f"settings.TRIOQ: expected names of keys, not {key!r}"
        elif key.isupper() and key not in OWN:
            close = difflib.get_close_matches(key, OWN, 1)
            known = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(OWN)}"
            yield f"settings.TRIOQ: unknown key {key!r}; {known}"


def _wrong_patience(patience: Any) -> Iterator[str]:
    try:
        patience_of(patience)
    except (TypeError, ValueError) as error:
        yield f"settings.TRIOQ: PATIENCE: {error}"


def _wrong_modules(modules: Any) -> Iterator[str]:
    if not isinstance(modules, list | tuple) or not all(isinstance(name, str) for name in modules):
        yield f'settings.TRIOQ: MODULES: expected a list such as ["tasks"], not {modules!r}'


def base() -> Path:
    """What paths in the settings are relative to."""
    return Path(getattr(settings, "BASE_DIR", "."))


def _queues() -> Tree:
    """The queues that the backends need, where nobody has listed any."""
    names: dict[str, None] = {}
    default = "default"
    for number, (_, said) in enumerate(backends()):
        own = said.get("QUEUES", ["default"]) or ["default"]
        try:
            bands = priorities(said.get("OPTIONS", {}))
        except ValueError:  # told of by the backend's own check
            continue
        names |= dict.fromkeys(bands.queues(own))
        if number == 0:
            default = bands.queue(own[0], 0)
    if not names:
        return {}
    return {"queues": [{"name": name} for name in names], "default_queue": default}


def _schedules(said: Any) -> Iterator[tuple[str, Tree]]:
    """``SCHEDULES`` as ``[schedules]`` has them."""
    if not isinstance(said, Mapping):
        raise ConfigError(["settings.TRIOQ: SCHEDULES: expected a dict of dicts, by their names"])
    for name, each in said.items():
        here = f"settings.TRIOQ: SCHEDULES: {name!r}"
        if not isinstance(each, Mapping):
            raise ConfigError([f"{here}: expected a dict such as {EXAMPLE}"])
        rest = {key: plain(value) for key, value in each.items() if key not in CALL}
        if "task" in each:
            if "job" in each or "payload" in each:
                told = "expected 'task' with 'args' and 'kwargs', or 'job' with 'payload'"
                raise ConfigError([f"{here}: {told}"])
            rest["job"] = _path_of(each["task"])
            args, kwargs = list(each.get("args", ())), dict(each.get("kwargs", {}))
            rest["payload"] = {"args": plain(args), "kwargs": plain(kwargs)}
        elif "job" not in each:
            raise ConfigError([f"{here}: says no task: {EXAMPLE}"])
        if "cron" in rest and settings.USE_TZ:
            rest.setdefault("tz", settings.TIME_ZONE)
        yield name, rest


EXAMPLE = '{"task": "shop.tasks.report", "cron": "0 3 * * *"}'


def _path_of(task: Any) -> str:
    """A task's name, of itself or as it is."""
    return str(getattr(task, "module_path", task))
