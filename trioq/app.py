"""Handlers by name: what an application registers, and calls to be run later."""

from __future__ import annotations

import functools
import importlib
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import attrs

from trioq.core.config import CommandConfig
from trioq.core.job import Job
from trioq.core.retry import Retry
from trioq.engine.handlers import Command, Function, current_job
from trioq.engine.handlers import Handler as AnyHandler
from trioq.engine.handlers.function import LeaseLoss
from trioq.errors import ConfigError

__all__ = ["App", "Call", "Handler", "all_handlers", "current_job", "load_app"]

F = ParamSpec("F")
P = ParamSpec("P")
R = TypeVar("R")


@attrs.frozen
class Call:
    """A handler's name and the arguments of one run, to be enqueued."""

    name: str
    payload: dict[str, Any]
    queue: str | None = None


class Handler(Generic[F, P, R]):
    """A registered function: still called like one, and able to make calls for later."""

    def __init__(self, registered: Function) -> None:
        self.registered = registered
        functools.update_wrapper(self, registered.function)

    def __call__(self, *args: F.args, **kwargs: F.kwargs) -> R:
        """Run the function now, here, without any queue."""
        result: R = self.registered.function(*args, **kwargs)
        return result

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """The same arguments, without the job, for a run by an engine.

        Raises:
          TypeError: The function can't be called like this.
        """
        payload = self.registered.binding.payload(*args, **kwargs)
        return Call(self.registered.name, payload, self.registered.queue)


class _Register:
    """What ``app.job(…)`` returns: the decorator, with its two types."""

    def __init__(self, app: App, name: str | None, options: dict[str, Any]) -> None:
        self._app, self._name, self._options = app, name, options

    @overload
    def __call__(
        self, function: Callable[Concatenate[Job, P], R]
    ) -> Handler[Concatenate[Job, P], P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Handler[P, P, R]: ...
    def __call__(self, function: Callable[..., R]) -> Handler[..., ..., R]:
        name = self._name or function.__name__
        registered = Function(name, function, **self._options)
        self._app._add(registered)
        return Handler(registered)


class App:
    """A set of handlers. Making one does no I/O."""

    def __init__(self) -> None:
        self._handlers: dict[str, Function] = {}

    @property
    def handlers(self) -> Mapping[str, Function]:
        """The registered handlers by name."""
        return self._handlers

    def job(
        self,
        name: str | None = None,
        *,
        queue: str | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        on_lease_loss: LeaseLoss = "continue",
    ) -> _Register:
        """Register a function, ``async def`` or ``def``, under a stable name.

        The first parameter is the :class:`trioq.Job` if it is annotated so; the others are
        the fields of the payload.

        Args:
          name: Default: the function's own.
          queue: Where its jobs go if the enqueuer doesn't say.
          timeout: Seconds a run may take.
          retry: How often it is tried, and how long it waits in between.
          on_lease_loss: ``cancel`` for a handler that must never overlap with a second run
              of its job: it is cancelled before the engine's lease ends.

        Raises:
          TypeError: A parameter that no field of a JSON object can fill.
          ValueError: The name is taken.
        """
        if callable(name):
            raise TypeError("write @app.job(), with parentheses")
        options = {
            "queue": queue,
            "timeout_s": timeout,
            "retry": retry,
            "on_lease_loss": on_lease_loss,
        }
        return _Register(self, name, options)

    def include(self, other: App) -> None:
        """Take over the handlers of another app.

        Raises:
          ValueError: A name is in both.
        """
        for registered in other.handlers.values():
            self._add(registered)

    def _add(self, registered: Function) -> None:
        if registered.name in self._handlers:
            raise ValueError(f"there is a handler {registered.name!r} already")
        self._handlers[registered.name] = registered


def load_app(where: str, directory: Path) -> App:
    """The app that a configuration names as ``module:attribute``.

    The configuration's directory comes first on the path, then the current one.

    Raises:
      ConfigError: With the module, the places tried and the original traceback.
    """
    module_name, _, attribute = where.partition(":")
    places = [str(directory), str(Path.cwd())]
    for place in reversed(places):
        if sys.path[:1] != [place]:
            sys.path.insert(0, place)
    try:
        module = importlib.import_module(module_name)
        app = functools.reduce(getattr, (attribute or "app").split("."), module)
    except Exception:
        tried = " and ".join(dict.fromkeys(places))
        raise ConfigError(
            [f"app: can't import {where!r}, looked in {tried}:\n{traceback.format_exc().rstrip()}"]
        ) from None
    if not isinstance(app, App):
        raise ConfigError([f"app: {where!r} is a {type(app).__name__}, not a trioq.App"])
    return app


def all_handlers(
    app: App, commands: Mapping[str, CommandConfig], builtin: App, directory: Path
) -> dict[str, AnyHandler]:
    """The handlers of an engine: the app's, the configured commands, the built-in ones.

    Raises:
      ConfigError: Two of them have one name.
    """
    handlers: dict[str, AnyHandler] = dict(builtin.handlers)
    faults = []
    for name, function in app.handlers.items():
        if name in handlers:
            faults.append(f"app: the name {name!r} is that of a built-in handler")
        handlers[name] = function
    for name, config in commands.items():
        if name in handlers:
            faults.append(f"commands.{name}: the app or trioq has a handler of this name")
        handlers[name] = _command(name, config, directory)
    if faults:
        raise ConfigError(faults)
    return handlers


def _command(name: str, config: CommandConfig, directory: Path) -> Command:
    return Command(
        name,
        config.argv,
        queue=config.queue,
        timeout_s=config.timeout_s,
        permanent_exit_codes=config.permanent_exit_codes,
        cwd=str(directory / config.cwd) if config.cwd else str(directory),
        env=config.env,
    )
