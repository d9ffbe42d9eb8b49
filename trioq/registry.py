"""The handlers of a configuration and an app, and what is wrong between them. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from trioq.app import App
from trioq.apps import load_app
from trioq.builtin import built_in
from trioq.core.config import CommandConfig, Config, Fault, check
from trioq.core.retry import Retry
from trioq.counted import counted, error_faults
from trioq.engine import from_config
from trioq.engine.handlers import Apart, Command, Handler, Lifespans, Runners
from trioq.engine.handlers.limited import limit_faults
from trioq.engine.handlers.scheduled import schedule_faults
from trioq.errors import ConfigError
from trioq.handler import where_of
from trioq.isolation import runners_of


def registry(
    app: App,
    config: Config,
    *,
    takes_over: bool = False,
    is_whole: bool = True,
    lifespans: Lifespans | None = None,
    apart: bool = True,
) -> Mapping[str, Handler]:
    """All handlers: the app's, the configured commands, and the built-in ones.

    Args:
      takes_over: Whether all log lines of this process look as the configuration says.
      is_whole: Whether there are no other handlers, so that who names another is wrong.
      lifespans: What they share where they run.
      apart: Whether those that say so run in processes of their own; else all run in this one.

    Raises:
      ConfigError: The configuration is wrong, or doesn't fit the handlers: all of it.
    """
    check(config, handler_faults(app, config) if is_whole else ())
    runners = runners_of(app, config, takes_over=takes_over) if apart else None
    return counted(_handlers(app, config, runners, lifespans), config)


def lifespans_of(app: App) -> Lifespans:
    """What is entered where an engine runs: the lifespans of apps that have handlers there, or
    none at all; those whose handlers all run in processes of their own are entered in there."""
    handlers = app.handlers.values()
    here = {each.lifespan for each in handlers if each.isolation != "process"}
    apart = {each.lifespan for each in handlers} - here
    return Lifespans(each for each in app.lifespans if each not in apart)


def all_handlers(
    app: App,
    commands: Mapping[str, CommandConfig],
    builtin: App,
    directory: Path,
    retry: Retry,
    *,
    runners: Runners | None = None,
    lifespans: Lifespans | None = None,
) -> dict[str, Handler]:
    """The handlers of an engine: the app's, the configured commands, the built-in ones.

    Args:
      directory: Where commands run that don't say where.
      retry: The engine's; a command that has only ``max_attempts`` of its own waits as it says.
      runners: For those of the app's that run in a process; they say which these are.
      lifespans: What the others share.

    Where two have one name, the later one is taken; :func:`name_faults` tells of it.
    """
    handlers: dict[str, Handler] = dict(builtin.handlers)
    here = Lifespans() if lifespans is None else lifespans
    for name, registered in app.handlers.items():
        function = registered.surrounded()
        if runners is not None and name in runners.launch.names:
            handlers[name] = Apart(here.in_loop(function), runners)
        else:
            handlers[name] = here.at_home(function)
    for name, config in commands.items():
        handlers[name] = _command(name, config, directory, retry)
    return handlers


def name_faults(app: App, commands: Mapping[str, CommandConfig], builtin: App) -> Iterator[Fault]:
    """Handlers that have one name."""
    for name, function in app.handlers.items():
        if name in builtin.handlers:
            told = f"{where_of(function)} is called {name!r}, as is a built-in handler"
            yield Fault(("app",), told)
        if name in commands:
            yield Fault(("commands", name), f"the app's {where_of(function)} has this name, too")


def _command(name: str, config: CommandConfig, directory: Path, retry: Retry) -> Command:
    tries = config.max_attempts
    return Command(
        name,
        config.argv,
        queue=config.queue,
        timeout_s=config.timeout_s,
        retry=None if tries is None else attrs.evolve(retry, max_attempts=tries),
        permanent_exit_codes=config.permanent_exit_codes,
        cwd=str(directory / config.cwd) if config.cwd else str(directory),
        env=config.env,
    )


def _handlers(
    app: App, config: Config, runners: Runners | None, lifespans: Lifespans | None = None
) -> Mapping[str, Handler]:
    root = None if config.producer is None else config.resolve(config.producer.scan_dir)
    retry, directory = from_config.retry(config), config.directory
    return all_handlers(
        app,
        config.commands,
        built_in(root),
        directory,
        retry,
        runners=runners,
        lifespans=lifespans,
    )


def handler_faults(app: App, config: Config) -> Iterator[Fault]:
    """What is wrong between a configuration and the handlers: two have one name, limits don't fit
    them, ``[breakers]`` names who isn't there, or nobody can tell where they are imported from."""
    yield from name_faults(app, config.commands, built_in(None))
    try:
        runners_of(app, config)
    except ConfigError as error:
        yield from _of_app(error)
    handlers = _handlers(app, config, None)
    yield from limit_faults(config, handlers)
    yield from from_config.breaker_faults(config, handlers)
    yield from schedule_faults(config, app.schedules, handlers)
    yield from error_faults(config)


def app_faults(config: Config) -> Iterator[Fault]:
    """The same for the app that a configuration names, which is imported; a program may have one
    that no configuration names."""
    if config.app is None:
        return
    try:
        app = load_app(config.app, config.directory)
    except ConfigError as error:
        yield from _of_app(error)
    else:
        yield from handler_faults(app, config)


def _of_app(error: ConfigError) -> Iterator[Fault]:
    for line in error.faults:
        place, _, told = line.partition(": ")
        index = re.fullmatch(r"app\[(\d+)\]", place)
        yield Fault(("app",) if index is None else ("app", int(index[1])), told)
