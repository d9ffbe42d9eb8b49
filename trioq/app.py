"""Handlers by name: what an application registers, and calls to be run later."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from trioq.core.blame import PLAIN_ERRORS, Breaker
from trioq.core.config import ScheduleConfig
from trioq.core.config.schedules import Seconds, said
from trioq.core.failure import Failure
from trioq.core.flow import Limit
from trioq.core.job import D_co, Job
from trioq.core.retry import Retry
from trioq.core.schedules.due import Misfire
from trioq.core.schedules.schedule import Overlap
from trioq.engine.handlers import (
    Function,
    Lifespan,
    Runtime,
    check_cancelled,
    current_job,
)
from trioq.engine.handlers.around import Around, Middleware
from trioq.engine.handlers.binding import BadPayload
from trioq.engine.handlers.failure_hook import FailureHook
from trioq.engine.handlers.function import Isolation, LeaseLoss
from trioq.handler import Handler, Register, kind_of, where_of

__all__ = ["App", "Handler", "check_cancelled", "current_job"]

F = ParamSpec("F")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
M = TypeVar("M", bound=Callable[[Job[Any]], AsyncIterator[Any] | Iterator[Any]])
N = TypeVar("N", bound=Callable[[Failure], Any])
H = TypeVar("H", bound="Handler[..., ..., Any, Any]")


class App(Generic[D_co]):
    """A set of handlers. Making one does no I/O.

    Args:
      isolation: Where those run that don't say.
      runtime: What awaits those ``async def`` handlers that don't say; and the lifespan.
      lifespan: Takes the app, and gives an async context manager: what comes of it is the ``deps``
          of its handlers' jobs. Each process that runs handlers of this app enters it once, before
          it runs any, and leaves it after the last has ended. An ``async def`` function that yields
          once will do.

    Raises:
      TypeError: The lifespan can't be one.
    """

    @overload
    def __init__(
        self: App[None],
        *,
        isolation: Isolation = "none",
        runtime: Runtime = "trio",
        lifespan: None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        isolation: Isolation = "none",
        runtime: Runtime = "trio",
        lifespan: Callable[[App[Any]], AbstractAsyncContextManager[D_co]]
        | Callable[[App[Any]], AsyncIterator[D_co]],
    ) -> None: ...
    def __init__(
        self,
        *,
        isolation: Isolation = "none",
        runtime: Runtime = "trio",
        lifespan: Callable[[App[Any]], Any] | None = None,
    ) -> None:
        self._isolation = isolation
        self._runtime = runtime
        self._around = Around(runtime)
        self._lifespan = None if lifespan is None else Lifespan.of(lifespan, self, runtime)
        self._handlers: dict[str, Function] = {}
        self._schedules: dict[str, ScheduleConfig] = {}
        self._included: list[App] = []
        self._including = weakref.WeakSet[App]()

    @property
    def handlers(self) -> Mapping[str, Function]:
        """The registered handlers by name, also those of apps that it includes."""
        return MappingProxyType(dict(_merged(app._handlers for app in self.apps())))

    @property
    def schedules(self) -> Mapping[str, ScheduleConfig]:
        """What :meth:`schedule` has said, by name, also of apps that it includes."""
        return MappingProxyType(dict(_merged(app._schedules for app in self.apps())))

    @property
    def lifespans(self) -> Sequence[Lifespan]:
        """Its own, and those of the apps that it includes."""
        return [app._lifespan for app in self.apps() if app._lifespan is not None]

    @overload
    def job(
        self, name: Callable[Concatenate[Job[D_co], P], Coroutine[Any, Any, T]], /
    ) -> Handler[Concatenate[Job, P], P, Coroutine[Any, Any, T], T]: ...
    @overload
    def job(
        self, name: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Handler[P, P, Coroutine[Any, Any, T], T]: ...
    @overload
    def job(
        self, name: Callable[Concatenate[Job[D_co], P], R], /
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
        runtime: Runtime | None = None,
        result: float | str | timedelta | None = None,
        raises: Sequence[type[Exception]] = (),
        breaker: Breaker | None = PLAIN_ERRORS.breaker,
        limits: Limit | Sequence[Limit] = (),
        id_from: Sequence[str] | None = None,
    ) -> Register[D_co]: ...
    def job(
        self,
        name: str | Callable[..., Any] | None = None,
        *,
        queue: str | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        on_lease_loss: LeaseLoss = "continue",
        isolation: Isolation | None = None,
        runtime: Runtime | None = None,
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
          runtime: ``asyncio`` for an ``async def`` handler that uses asyncio's libraries: all such
              handlers of an engine run in one loop of asyncio, in a thread of its own. ``trio``: in
              the engine's loop. Default: the app's. A ``def`` handler runs in a thread, whatever
              this says.
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
            return self.job()(name)
        if not isinstance(name, str | None):
            raise TypeError(
                f"app.job: expected a function, or a name and options; got {kind_of(name)}"
            )
        options = {
            "queue": queue,
            "timeout_s": timeout,
            "retry": retry,
            "on_lease_loss": on_lease_loss,
            "isolation": self._isolation if isolation is None else isolation,
            "runtime": self._runtime if runtime is None else runtime,
            "result_s": result,
            "raises": raises,
            "breaker": breaker,
            "limits": limits,
            "id_from": id_from,
            "lifespan": self._lifespan,
            "around": self._around,
        }
        return Register(self._add, name, options)

    @overload
    def middleware(self, function: M, /) -> M: ...
    @overload
    def middleware(self, /) -> Callable[[M], M]: ...
    def middleware(self, function: M | None = None, /) -> M | Callable[[M], M]:
        """Have this around each run of this app's handlers, also where another includes it.

        A decorator for a generator function, ``async def`` or ``def``, that takes the
        :class:`trioq.Job` and yields once: the handler runs in place of the ``yield``. That gives
        what it returned, or raises the very exception that it raised; at a cancellation what
        cancellation is there. Whatever the middleware raises takes the place of that; an exception
        that it doesn't let out is the run's all the same. The first that is registered is the
        outermost. What it sets in context variables is there for the handler, and not for the next.

        An async one is awaited in the handler's loop; around a ``def`` handler in that of the app's
        ``runtime``. A plain one runs where the handler runs: in the thread of a ``def`` handler,
        where all async ones are around it.

        A timeout also counts what middleware takes. Of a payload that doesn't fit, it isn't told.

        Raises:
          TypeError: It isn't one.
        """
        if function is None:  # @app.middleware()
            return self.middleware
        self._around.middleware.append(Middleware(function))
        return function

    @overload
    def on_failure(self, function: N, /) -> N: ...
    @overload
    def on_failure(self, /) -> Callable[[N], N]: ...
    def on_failure(self, function: N | None = None, /) -> N | Callable[[N], N]:
        """Have this told of each attempt of this app's handlers that has failed.

        A decorator for a function, ``async def`` or ``def``, that takes the :class:`trioq.Failure`.
        It is called after it is decided what becomes of the job, in the process of the engine: an
        ``async def`` function in the loop of the app's ``runtime``, a ``def`` function in a thread.
        It isn't for jobs that were cancelled, given back or snoozed, nor for those that are run
        again because they raised :exc:`trioq.RetryLater`. It has five seconds; what it raises is
        logged.

        Raises:
          TypeError: It can't be one.
        """
        if function is None:  # @app.on_failure()
            return self.on_failure
        self._around.on_failure.append(FailureHook(function))
        return function

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
                    f"app.schedule: stands above @app.job; got {kind_of(handler)}, no handler"
                )
            function = handler.registered
            if self.handlers.get(function.name) is not function:
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
            self._add_schedule(made)
            return handler

        return add

    def include(self, other: App) -> None:
        """Have an engine of this app run the handlers of another one, too, and list its schedules:
        those that it has, and those that it gets.

        They keep what is said of them there: the lifespan, and what it gives; middleware; isolation
        and runtime.

        Raises:
          ValueError: A handler or a schedule of that name is in both, or the other includes this
              one; nothing was taken over.
        """
        if not isinstance(other, App):
            raise TypeError(f"app.include: expected a trioq.App; got {kind_of(other)}")
        if self in other.apps():
            itself = "itself" if other is self else "an app that includes it"
            raise ValueError(f"app.include: an app can't include {itself}")
        clashes = [told for top in self._tops() for told in top.clashes(other)]
        if clashes:
            raise ValueError("\n".join(dict.fromkeys(clashes)))
        if other not in self._included:
            self._included.append(other)
            other._including.add(self)

    def apps(self) -> Sequence[App]:
        """This one and those that it includes, each once, in the order in which their lifespans are
        entered."""
        found: dict[App, None] = {self: None}
        for other in self._included:
            found |= dict.fromkeys(other.apps())
        return list(found)

    def clashes(self, other: App) -> Iterator[str]:
        """What both have, and it isn't the same."""
        known = dict.fromkeys(self.apps())
        new = [app for app in other.apps() if app not in known]
        for app in new:
            for name, function in app._handlers.items():
                if old := self.handlers.get(name):
                    both = f"{where_of(old)} and {where_of(function)}"
                    yield f"two handlers are called {name!r}: {both}"
            for name in app._schedules:
                if name in self.schedules:
                    yield f"two schedules are called {name!r}: say which is which, with name=…"

    def _tops(self) -> Sequence[App]:
        """This one and those that include it."""
        found: dict[App, None] = {self: None}
        for top in self._including:
            found |= dict.fromkeys(top._tops())
        return list(found)

    def _free_name(self, handler: str) -> str:
        taken = self.schedules
        if handler not in taken:
            return handler
        names = (f"{handler}-{number}" for number in itertools.count(2))
        return next(name for name in names if name not in taken)

    def _add_schedule(self, new: ScheduleConfig) -> None:
        if any(new.name in top.schedules for top in self._tops()):
            raise ValueError(
                f"two schedules are called {new.name!r}: say which is which, with name=…"
            )
        self._schedules[new.name] = new

    def _add(self, new: Function) -> None:
        for top in self._tops():
            if old := top.handlers.get(new.name):
                raise ValueError(
                    f"two handlers are called {new.name!r}: {where_of(old)} and {where_of(new)}"
                )
        self._handlers[new.name] = new


def _merged(parts: Iterable[Mapping[str, T]]) -> Iterator[tuple[str, T]]:
    return itertools.chain.from_iterable(part.items() for part in parts)
