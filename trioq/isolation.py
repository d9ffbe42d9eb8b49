"""What the runners of an engine are told: which app to import, and where it is found.

The other side is :mod:`trioq.runner`.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from trioq.app import App
from trioq.apps import Where
from trioq.core.config import Config
from trioq.core.guards import counted_by
from trioq.engine.handlers import Function, Launch, Runners
from trioq.errors import ConfigError
from trioq.processes.cores import usable_cores
from trioq.processes.interpreter import python
from trioq.settings.write import as_toml


def runners_of(app: App, config: Config, *, takes_over: bool = False) -> Runners | None:
    """The runners that an app needs; None: none of its handlers runs in a process.

    Args:
      takes_over: Whether log lines of this process, and so theirs, look as the configuration says.

    Raises:
      ConfigError: Nobody can tell how another process would import the app.
    """
    apart = [handler for handler in app.handlers.values() if handler.isolation == "process"]
    if not apart:
        return None
    where = _places(app, config.app, apart)
    observability, worker = config.observability, config.worker
    breakers = {handler.name: handler.breaker for handler in apart}
    first: dict[str, Any] = {
        "app": where,
        "counted": counted_by(breakers, config.breakers),
        "path": sys.path,
        "memory": worker.runner_memory_bytes,
        "log": [observability.log_level, observability.log_format, config.namespace]
        if takes_over
        else None,
        "config": [as_toml(config, masked=False), str(config.directory)],
    }
    argv = (*python(), "-m", "trioq.runner", ",".join(where))
    launch = Launch(argv, first, frozenset(handler.name for handler in apart))
    return Runners(launch, worker.runners or _share(config), worker.runner_jobs)


def _share(config: Config) -> int:
    """This process's part of the cores."""
    cores, processes = usable_cores(), config.serve.processes
    return 1 if isinstance(processes, str) else math.ceil(cores / processes)


def _places(app: App, configured: Where | None, apart: list[Function]) -> list[str]:
    """The app as ``module:attribute``, or else those apps that it is made of."""
    named = [configured] if isinstance(configured, str) else list(configured or ())
    found = {where: _found(where) for where in named}
    if any(each is app for each in found.values()):
        return [next(where for where, each in found.items() if each is app)]
    included = list(app.apps())[1:]
    if len(named) > 1 and all(each in included for each in found.values()):
        return named
    return [_named(app, apart)]


def _named(app: App, apart: list[Function]) -> str:
    theirs = {handler.function.__module__ for handler in apart}
    found = [
        f"{name}:{attribute}"
        for name, module in list(sys.modules.items())
        if name != "__main__"
        for attribute, value in list(getattr(module, "__dict__", {}).items())
        if value is app
    ]
    if not found:
        names = ", ".join(sorted(handler.name for handler in apart))
        raise ConfigError(
            [
                f"app: {names} shall run in a process of its own, which has to import the app:"
                " let it be a global of a module (app = trioq.App()), and not of __main__, the"
                " program that is run"
            ]
        )
    return min(found, key=lambda where: where.partition(":")[0] not in theirs)


def _found(where: str) -> object:
    module, _, attributes = where.partition(":")
    value: object = sys.modules.get(module)
    for attribute in attributes.split("."):
        value = getattr(value, attribute, None)
    return value
