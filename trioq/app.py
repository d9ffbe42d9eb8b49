"""Handlers by name: what an application registers, and calls to be run later."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import attrs

from trioq.core.blame import PLAIN_ERRORS, Breaker
from trioq.core.call import Call
from trioq.core.config import CommandConfig, ScheduleConfig
from trioq.core.config.rules import Fault
from trioq.core.config.schedules import Seconds, said
from trioq.core.flow import Limit
from trioq.core.job import Job
from trioq.core.retry import Retry
from trioq.core.schedules.due import Misfire
from trioq.core.schedules.schedule import Overlap
from trioq.cwd import working_directory
from trioq.engine.handlers import Apart, Command, Function, Runners, check_cancelled, current_job
from trioq.engine.handlers import Handler as AnyHandler
from trioq.engine.handlers.binding import BadPayload
from trioq.engine.handlers.function import Isolation, LeaseLoss
from trioq.errors import ConfigError
from trioq.importing import import_object

__all__ = ["App", "Call", "Handler", "all_handlers", "check_cancelled", "current_job", "load_app"]

F = ParamSpec("F")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
H = TypeVar("H", bound="Handler[..., ..., Any, Any]")


class Handler(Generic[F, P, R, T]):
    """A registered function: still called like one, and able to make calls for later.

    ``F`` is what the function takes, ``P`` the same without the job. ``R`` is what it returns,
    ``T`` what comes of it: the same, but for ``async def``.
    """

    def __init__(self, registered: Function) -> None:
        functools.update_wrapper(self, registered.function)
        self.registered = registered

    def __call__(self, /, *args: F.args, **kwargs: F.kwargs) -> R:
        """Run the function now, here, without any queue."""
        result: R = self.registered.function(*args, **kwargs)
        return result

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The same arguments, without the job, for a run by an engine.

        Raises:
          TypeError: The function can't be called like this.
          PayloadRejected: A value that JSON can't hold (NaN is one).
        """
        payload = self.registered.binding.payload(*args, **kwargs)
        return Call(self.registered.name, payload, self.registered.queue, self.registered)

    def __repr__(self) -> str:
        return f"<trioq handler {self.registered.name!r}: {self.registered.binding.where}>"


class _Register:
    """What ``app.job(…)`` returns: the decorator, with its two types."""

    def __init__(self, app: App, name: str | None, options: Mapping[str, Any]) -> None:
        self._app, self._name, self._options = app, name, options

    @overload
    def __call__(
        self, function: Callable[Concatenate[Job, P], Coroutine[Any, Any, T]]
    ) -> Handler[Concatenate[Job, P], P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]]
    ) -> Handler[P, P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Job, P], R]
    ) -> Handler[Concatenate[Job, P], P, R, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Handler[P, P, R, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Handler[..., ..., Any, Any]:
        if isinstance(function, Handler):  # a second name for it
            function = function.registered.function
        name = _name_of(function) if self._name is None else self._name
        registered = Function(name, function, **self._options)
        self._app._add([registered])
        return Handler(registered)


class App:
    """A set of handlers. Making one does no I/O.

    Args:
      isolation: Where those run that don't say.
    """

    def __init__(self, *, isolation: Isolation = "none") -> None:
        self._isolation = isolation
        self._handlers: dict[str, Function] = {}
        self._schedules: dict[str, ScheduleConfig] = {}

    @property
    def handlers(self) -> Mapping[str, Function]:
        """The registered handlers by name."""
        return MappingProxyType(self._handlers)

    @property
    def schedules(self) -> Mapping[str, ScheduleConfig]:
        """What :meth:`schedule` has said, by name."""
        return MappingProxyType(self._schedules)

    @overload
    def job(
        self, name: Callable[Concatenate[Job, P], Coroutine[Any, Any, T]], /
    ) -> Handler[Concatenate[Job, P], P, Coroutine[Any, Any, T], T]: ...
    @overload
    def job(
        self, name: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Handler[P, P, Coroutine[Any, Any, T], T]: ...
    @overload
    def job(
        self, name: Callable[Concatenate[Job, P], R], /
    ) -> Handler[Concatenate[Job, P], P, R, R]: ...
    @overload
    def job(self, name: Callable[P, R], /) -> Handler[P, P, R, R]: ...
    @overload
    def job(
        self,
        name: str | None = None,
        *,
        queue: str | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        on_lease_loss: LeaseLoss = "continue",
        isolation: Isolation | None = None,
        result: float | str | timedelta | None = None,
        raises: Sequence[type[Exception]] = (),
        breaker: Breaker | None = PLAIN_ERRORS.breaker,
        limits: Limit | Sequence[Limit] = (),
        id_from: Sequence[str] | None = None,
    ) -> _Register: ...
    def job(
        self,
        name: str | Callable[..., Any] | None = None,
        *,
        queue: str | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        on_lease_loss: LeaseLoss = "continue",
        isolation: Isolation | None = None,
        result: float | str | timedelta | None = None,
        raises: Sequence[type[Exception]] = (),
        breaker: Breaker | None = PLAIN_ERRORS.breaker,
        limits: Limit | Sequence[Limit] = (),
        id_from: Sequence[str] | None = None,
    ) -> Any:
        """Register a function, ``async def`` or ``def``, under a stable name.

        ``@app.job``, ``@app.job()`` and ``@app.job("name", …)`` are decorators. The first
        parameter is the :class:`trioq.Job` if it is annotated so; the others are the fields of
        the payload.

        Args:
          name: Default: the function's own. Jobs that wait know their handler by it, so it
              outlives a renamed function only if it is given.
          queue: Where its jobs go if the enqueuer doesn't say.
          timeout: Seconds a run may take.
          retry: How often it is tried, and how long it waits in between; all of it: what the
              ``Retry`` leaves out is its own default, not what ``[worker]`` says.
          on_lease_loss: ``cancel`` for a handler that must never overlap with a second run
              of its job: it is cancelled before the engine's lease ends.
          isolation: ``process`` for a handler that computes for long, or may crash, leak or
              hang: each run is in a process that imports the app, and is killed if it doesn't
              end when it is cancelled. ``none``: in the engine. Default: the app's.
          result: For how long what it returns is kept for those who ask (seconds, ``"1h"``, a
              timedelta). Default: it isn't.
          raises: Classes of errors. Who waits for a job that died of one gets it as itself, from
              its arguments if JSON can hold them, else from its message.
          breaker: Which of its errors count for its circuit breaker, when that opens, and with
              which other handlers it is shared; None: no breaker ever stops it. Default: as
              ``[circuit_breaker]`` says, and errors that say that the job is wrong don't count.
          limits: How often its jobs may start and how many may run at a time, over all engines:
              all of these at once.
          id_from: Parameters of which the id of a job is made that is enqueued without one, and
              of the handler's name: ``["tenant", "day"]``. Each has to be given then.

        Raises:
          TypeError: A parameter that no field of a JSON object can fill; a generator, a
              context manager, a class or something else that can't be run.
          ValueError: The name is taken, or an option can't be.
        """
        if callable(name):
            return _Register(self, None, {"isolation": self._isolation})(name)
        if not isinstance(name, str | None):
            raise TypeError(
                f"app.job: expected a function, or a name and options; got {_kind(name)}"
            )
        options = {
            "queue": queue,
            "timeout_s": timeout,
            "retry": retry,
            "on_lease_loss": on_lease_loss,
            "isolation": self._isolation if isolation is None else isolation,
            "result_s": result,
            "raises": raises,
            "breaker": breaker,
            "limits": limits,
            "id_from": id_from,
        }
        return _Register(self, name, options)

    def schedule(
        self,
        cron: str | None = None,
        *,
        every: Seconds | None = None,
        at: datetime | str | None = None,
        tz: str | None = None,
        anchor: datetime | str | None = None,
        name: str | None = None,
        queue: str | None = None,
        payload: Mapping[str, Any] | None = None,
        misfire: Misfire = "last",
        misfire_grace: Seconds = 60.0,
        overlap: Overlap = "skip",
        jitter: Seconds = 0.0,
    ) -> Callable[[H], H]:
        """Run a handler by the clock: stands above ``@app.job``, also several times.

        Engines of this app put the schedule where all can see it, and any engine that lives makes
        its ticks, each once.

        Args:
          cron: Five fields (minute, hour, day, month, weekday), or six, seconds first.
          every: A tick after each such time (seconds, ``"15m"``, a timedelta), counted from
              ``anchor``, whenever engines are started.
          at: One tick: an aware datetime, or a text with its offset.
          tz: Whose clocks ``cron`` goes by, such as ``"Europe/Berlin"``. Default: UTC.
          anchor: Default: 1970-01-01T00:00:00Z.
          name: What the schedule is called: its history goes on by it. Default: the handler's
              name; of several, from the lowest up, ``report``, ``report-2``, ``report-3``.
          queue: Default: the handler's.
          payload: What the handler is given.
          misfire: Of ticks that no engine was there for, ``skip`` runs none, ``last`` the last one,
              ``all`` each of the last 100.
          misfire_grace: A tick that is made so late at most wasn't missed.
          overlap: Where the run before hasn't ended: ``allow`` runs beside it, ``skip`` doesn't,
              ``queue_one`` runs after it, one at most, ``replace`` cancels it and runs.
          jitter: Its jobs are due so much later at most, at random.

        Raises:
          TypeError: It doesn't stand above ``@app.job`` of this app.
          ValueError: There is such a schedule, what is said can't be, or the payload doesn't fit
              the handler: all of it.
        """
        if callable(cron):
            raise TypeError('app.schedule: say when: @app.schedule("0 3 * * *")')

        def add(handler: H) -> H:
            if not isinstance(handler, Handler):
                raise TypeError(
                    f"app.schedule: stands above @app.job; got {_kind(handler)}, no handler"
                )
            function = handler.registered
            if self._handlers.get(function.name) is not function:
                raise TypeError(f"app.schedule: {function.name!r} is no handler of this app")
            made = said(
                name=self._free_name(function.name) if name is None else name,
                job=function.name, cron=cron, every=every, at=at, tz=tz, anchor=anchor,
                queue=queue, payload=payload, misfire=misfire, misfire_grace=misfire_grace,
                overlap=overlap, jitter=jitter,
            )  # fmt: skip
            try:
                function.binding.bind(made.payload)
            except BadPayload as error:
                raise ValueError(
                    f"the schedule {made.name!r}: its payload doesn't fit"
                    f" {function.binding.where}: {error}"
                ) from None
            self._add_schedules([made])
            return handler

        return add

    def include(self, other: App) -> None:
        """Take over the handlers and schedules that another app has by now.

        Raises:
          ValueError: A name is in both; nothing was taken over.
        """
        self._refuse_schedules(other.schedules)
        self._add(list(other.handlers.values()))
        self._add_schedules(other.schedules.values())

    def _free_name(self, handler: str) -> str:
        if handler not in self._schedules:
            return handler
        names = (f"{handler}-{number}" for number in itertools.count(2))
        return next(name for name in names if name not in self._schedules)

    def _add_schedules(self, new: Iterable[ScheduleConfig]) -> None:
        made = {schedule.name: schedule for schedule in new}
        self._refuse_schedules(made)
        self._schedules |= made

    def _refuse_schedules(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._schedules:
                raise ValueError(
                    f"two schedules are called {name!r}: say which is which, with name=…"
                )

    def _add(self, functions: list[Function]) -> None:
        for new in functions:
            if old := self._handlers.get(new.name):
                raise ValueError(
                    f"two handlers are called {new.name!r}: {_where(old)} and {_where(new)}"
                )
        self._handlers |= {new.name: new for new in functions}


def _name_of(function: object) -> str:
    """A function's own name, where it has one that will last."""
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise TypeError(f'app.job: {_kind(function)} has no name of its own: app.job("name")(…)')
    return name


def _kind(value: object) -> str:
    named = getattr(value, "__name__", None) == "<lambda>"
    return "a lambda" if named else f"a {type(value).__name__}"


def load_app(where: str, directory: Path) -> App:
    """The app that a configuration names as ``module:attribute``.

    The configuration's directory comes first on the path, then the current one, if there is one.

    Raises:
      ConfigError: With the module, the places tried and the original traceback.
    """
    app = import_object(where, places_of(directory), key="app")
    if not isinstance(app, App):
        raise ConfigError(
            [f"app: {where!r} is an object of type {type(app).__name__}, not a trioq.App"]
        )
    return app


def places_of(directory: Path) -> list[Path]:
    """Where what a configuration names is looked for first, by the configuration's directory."""
    here = working_directory()
    return [directory.resolve(), *([] if here is None else [here])]


def all_handlers(
    app: App,
    commands: Mapping[str, CommandConfig],
    builtin: App,
    directory: Path,
    retry: Retry,
    *,
    runners: Runners | None = None,
) -> dict[str, AnyHandler]:
    """The handlers of an engine: the app's, the configured commands, the built-in ones.

    Args:
      directory: Where commands run that don't say where.
      retry: The engine's; a command that has only ``max_attempts`` of its own waits as it says.
      runners: For those of the app's that run in a process; they say which these are.

    Where two have one name, the later one is taken; :func:`name_faults` tells of it.
    """
    handlers: dict[str, AnyHandler] = dict(builtin.handlers)
    for name, function in app.handlers.items():
        if runners is not None and name in runners.launch.names:
            handlers[name] = Apart(function, runners)
        else:
            handlers[name] = function
    for name, config in commands.items():
        handlers[name] = _command(name, config, directory, retry)
    return handlers


def name_faults(app: App, commands: Mapping[str, CommandConfig], builtin: App) -> Iterator[Fault]:
    """Handlers that have one name."""
    for name, function in app.handlers.items():
        if name in builtin.handlers:
            told = f"{_where(function)} is called {name!r}, as is a built-in handler"
            yield Fault(("app",), told)
        if name in commands:
            yield Fault(("commands", name), f"the app's {_where(function)} has this name, too")


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


def _where(function: Function) -> str:
    return f"{function.function.__module__}.{function.binding.where}"
