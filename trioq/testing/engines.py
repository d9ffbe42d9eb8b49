"""Engines in a world: made as :mod:`trioq.service` makes them, over a link.

What is different: they write no log and serve no metrics; handlers with ``isolation="process"`` run
here, where their clients and faults can be reached; and what handlers do is seen by the world.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

import attrs
import trio

from trioq.app import App
from trioq.builtin import built_in
from trioq.core.config import Config, check
from trioq.core.events import Event, Report
from trioq.core.failure import Failure
from trioq.core.job import Job
from trioq.core.shared import Shared
from trioq.counted import counted, error_faults
from trioq.engine import from_config
from trioq.engine.bridge import Caller
from trioq.engine.engine import Engine
from trioq.engine.handlers import AsyncioLoop, Command, Function, Handler, Lifespans
from trioq.engine.handlers.around import Middleware
from trioq.engine.handlers.failure_hook import FailureHook, ToldOf
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.limited import limit_faults
from trioq.engine.handlers.scheduled import schedule_faults, schedules
from trioq.engine.handlers.shape import is_async
from trioq.engine.tracer import Tracer
from trioq.registry import all_handlers, name_faults
from trioq.testing.clients import Around as OfClients
from trioq.testing.clients import Clients
from trioq.testing.clock import VirtualTime
from trioq.testing.life import Crashed, Life, here
from trioq.testing.link import Link, LinkCaller, PlainCaller

Wrap = Callable[[str, Callable[..., Any]], Callable[..., Any]]
"""Takes a handler's name and function, and gives what is called in its place."""

Layer = Callable[[Job[Any]], AsyncIterator[None]]
"""An async middleware."""


class Around(OfClients, Protocol):
    """What an engine needs of its world."""

    @property
    def timekeeper(self) -> VirtualTime: ...
    @property
    def tracer(self) -> Tracer | None: ...
    @property
    def shared(self) -> Shared | None:
        """What handlers share, in place of what lifespans give; None: that."""

    @property
    def is_plain(self) -> bool:
        """Whether engines are as they are: nothing of it is around handlers, and none is spared a
        poll."""

    def called(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """What is called in place of a handler's function."""

    def ended(self) -> None:
        """Told when an engine has."""


@attrs.define(eq=False)
class Running:
    """An engine that runs in a world."""

    engine: Engine
    link: Link
    """Its way to the store."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, repr=False)
    ended: trio.Event = attrs.field(factory=trio.Event, repr=False)
    """Set when it has ended, however."""
    life: Life = attrs.field(factory=Life, repr=False)
    """That of the process that it stands for."""
    _clock: Stoppable = attrs.field(kw_only=True, repr=False)
    _over: Callable[[], None] = attrs.field(kw_only=True, repr=False)

    @property
    def runs(self) -> bool:
        """Whether it hasn't ended, and nobody has killed it."""
        return not (self.ended.is_set() or self.scope.cancel_called)

    @property
    def is_well(self) -> bool:
        """Whether it is as engines should be: connected, and not stopped."""
        return self.runs and not (self.link.is_cut or self.link.is_frozen)

    def kill(self) -> None:
        """As SIGKILL: nothing that it does reaches the store any more, it tells nothing, and its
        tasks are cancelled. Its jobs run again once its lease has ended."""
        self.life.end()
        self.link.end()
        self.scope.cancel()

    def drain(self) -> None:
        """As SIGTERM: nothing more is claimed, what runs has the grace period; then it ends."""
        self.engine.drain()

    def freeze(self) -> None:
        """As SIGSTOP: it says no more that it lives, its clock stands still, and its calls wait.

        What its handlers do meanwhile is done: one that runs on is one that a stopped process
        does after it is continued. Where a handler is explored, it stands still, too.
        """
        self.life.hold()
        self._clock.stop()
        self.link.freeze()

    def thaw(self) -> None:
        """As SIGCONT: its calls are made, and its clock tells how late it is."""
        self.catch_up()
        self.link.thaw()

    def leap(self, seconds: float) -> None:
        """So much time passes at once, in which it would only have said that it lives: for its
        lease there is none."""
        self._clock.leap(seconds)

    def catch_up(self) -> None:
        """Half of that: it goes on, and its calls aren't made yet."""
        self._clock.go_on()
        self.life.go_on()

    async def run(self, task_status: trio.TaskStatus[Engine]) -> None:
        """In the world's nursery."""
        here.set(self.life)
        try:
            with self.scope:
                await self.engine.run(task_status=task_status)
        except* Crashed:
            pass  # it ends with its first call
        finally:
            self.ended.set()
            self._over()


@attrs.define(eq=False)
class Stoppable:
    """A clock that can stand still, and that some time is nothing for."""

    _clock: Callable[[], float]
    _leapt_s: float = 0.0
    _stands_at: float | None = None

    def __call__(self) -> float:
        return self._clock() - self._leapt_s if self._stands_at is None else self._stands_at

    def stop(self) -> None:
        self._stands_at = self()

    def go_on(self) -> None:
        self._stands_at = None

    def leap(self, seconds: float) -> None:
        self._leapt_s += seconds


def engine(
    app: App,
    config: Config,
    link: Link,
    report: Report,
    world: Around,
    *outside: Layer,
    clients: Link | None = None,
) -> Running:
    """One more engine, which somebody has to run.

    Args:
      outside: What is around each run of a handler, outside of all that the app has there.
      clients: The way of its handlers' clients, if that is another one: it is for one job then, and
          makes no ticks.

    Raises:
      ConfigError: The configuration and the handlers don't fit.
    """
    lifespans = Lifespans(app.lifespans if world.shared is None else ())
    layers = tuple(map(Middleware, outside))
    found = handlers(app, config, lifespans)
    here = found
    if not world.is_plain:
        here = {name: _here(each, world, layers, lifespans) for name, each in found.items()}
    caller = PlainCaller if world.is_plain else LinkCaller
    clock = Stoppable(world.timekeeper.clock.current_time)
    callers: dict[str, Caller] = {}
    life = Life(time=world.timekeeper)

    def told(event: Event) -> None:
        if not life.is_dead:
            report(event)

    def access(purpose: str) -> Caller:
        return callers.setdefault(purpose, caller(link))

    core = Engine(
        config,
        here,
        access,
        told,
        roles=frozenset({"worker"}),
        schedules=schedules(config, app.schedules, here) if clients is None else (),
        lifespans=lifespans,
        clock=clock,
        tracer=world.tracer,
        clients=Clients(world, clients or link, of_engine=True).of_handlers(app, config),
    )
    return Running(core, link, life=life, clock=clock, over=world.ended)


def handlers(app: App, config: Config, lifespans: Lifespans | None = None) -> Mapping[str, Handler]:
    """As :func:`trioq.registry.registry` gives them, but that none runs in a process of its own.

    Raises:
      ConfigError: The configuration and the handlers don't fit.
    """
    retry, directory, builtin = from_config.retry(config), config.directory, built_in()
    found = all_handlers(app, config.commands, builtin, directory, retry, lifespans=lifespans)
    faults = [
        name_faults(app, config.commands, builtin),
        limit_faults(config, found),
        from_config.breaker_faults(config, found),
        schedule_faults(config, app.schedules, found),
        error_faults(config),
    ]
    check(config, itertools.chain(*faults))
    return counted(found, config)


def _here(
    handler: Handler, world: Around, outside: tuple[Middleware, ...], lifespans: Lifespans
) -> Handler:
    if isinstance(handler, Function):
        # What is around it here may be in asyncio, as its app is.
        return lifespans.in_loop(_function(handler, world, outside))
    if isinstance(handler, Command):
        return _Command(**_fields(handler), time=world.timekeeper)
    return handler


def _function(handler: Function, world: Around, outside: tuple[Middleware, ...]) -> Function:
    time = world.timekeeper
    # Of one in a thread from before it is handed over until what came of it is here.
    busy = () if handler.is_async else (_while_busy(time),)
    return attrs.evolve(
        handler,
        function=world.called(handler.name, handler.function),
        shared=world.shared or handler.shared,
        layers=(*outside, *busy, *handler.layers),
        hooks=tuple(_hook(each, time) for each in handler.hooks),
    )


def _while_busy(time: VirtualTime) -> Middleware:
    async def busy(job: Job[Any]) -> AsyncIterator[None]:
        with time.busy():
            yield

    return Middleware(busy)


def _hook(hook: FailureHook, time: VirtualTime) -> FailureHook:
    return hook if hook.is_async else _Hook(hook.function, time=time)


@attrs.frozen(eq=False)
class _Hook(FailureHook):
    """One that is called in a thread, which needs real time."""

    time: VirtualTime = attrs.field(kw_only=True)

    def told(self, failure: Failure, loop: AsyncioLoop | None) -> ToldOf:
        return _Told(self, failure, loop)


class _Told(ToldOf):
    hook: _Hook

    def run(self, job: Job, threads: trio.CapacityLimiter, grace: Grace) -> Awaitable[Any]:
        return self._run(super().run(job, threads, grace))

    async def _run(self, call: Awaitable[Any]) -> Any:
        with self.hook.time.busy():
            return await call


@attrs.frozen(eq=False, kw_only=True)
class _Command(Command):
    """A program, which needs real time."""

    time: VirtualTime

    async def run(self, job: Job, threads: trio.CapacityLimiter, grace: Grace) -> Any:
        with self.time.busy():
            return await super().run(job, threads, grace)


def _fields(command: Command) -> dict[str, Any]:
    return {a.name: getattr(command, a.name) for a in attrs.fields(Command) if a.init}


def in_front(first: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    """A function before which another one is called, in its place and as long as it doesn't
    raise. It has the function's signature."""
    if is_async(function):

        @functools.wraps(function)
        async def called(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            first()
            return await function(*args, **kwargs)

        return called

    @functools.wraps(function)
    def called_there(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        first()
        return function(*args, **kwargs)

    return called_there
