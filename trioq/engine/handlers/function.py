"""A Python function as a handler: ``async def`` in the loop, ``def`` in a thread."""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import Context, copy_context
from inspect import CO_COROUTINE
from typing import Any, Literal

import attrs
import trio

from trioq.core.blame import Breaker, Errors
from trioq.core.config.numbers import seconds_of
from trioq.core.current import job_here, running_job
from trioq.core.flow import Limit
from trioq.core.job import Job
from trioq.core.result import returned_by
from trioq.core.retry import Retry
from trioq.core.shared import Shared
from trioq.core.tempo import Tempo
from trioq.core.valid import KEEP_S, NAME, QUEUE, TIMEOUT_S, Rule, shown
from trioq.core.wants import WANTS, NothingLeft
from trioq.engine.handlers.around import (
    Around,
    Call,
    Middleware,
    awaited,
    called,
    to_its_end,
    without_job,
)
from trioq.engine.handlers.asyncio_loop import AsyncioLoop
from trioq.engine.handlers.binding import Binding
from trioq.engine.handlers.crossing import Crossing, InThread
from trioq.engine.handlers.failure_hook import FailureHook
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.isolated import Isolated
from trioq.engine.handlers.lifespan import Lifespan, Runtime
from trioq.engine.handlers.returned import PLAIN, finished
from trioq.engine.handlers.shape import check, is_async
from trioq.engine.handlers.threads import run_in_thread

LeaseLoss = Literal["continue", "cancel"]

Isolation = Literal["none", "process"]
"""Where it runs: in the engine, or in a process that can be killed."""


def current_job() -> Job[Any]:
    """The job that runs here, also in a ``def`` handler's thread and in a handler's tasks.

    Raises:
      LookupError: No job runs here.
    """
    if (job := job_here()) is None:
        raise LookupError(
            "no job runs here: current_job() is for handlers, while an engine runs them"
        )
    return job


def _is_name(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    NAME.check("the name", value)


def _is_timeout(_: object, attribute: attrs.Attribute[float], value: float | None) -> None:
    if value is not None:
        TIMEOUT_S.check("the timeout", value)


def _is_kept(_: object, attribute: attrs.Attribute[float], value: float | None) -> None:
    if value is not None:
        KEEP_S.check("result", value)


def _are_errors(_: object, attribute: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    for kind in value:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"raises has {shown(kind)}: expected classes of exceptions")


def _several(given: Any) -> tuple[Any, ...]:
    """One, or many."""
    is_many = isinstance(given, Iterable) and not isinstance(given, str | type)
    return tuple(given) if is_many else (given,)


def _is_queue(_: object, attribute: attrs.Attribute[str], value: str | None) -> None:
    if value is not None:
        QUEUE.check("the queue", value)


def _is_retry(_: object, attribute: attrs.Attribute[Retry], value: Retry | None) -> None:
    if not isinstance(value, Retry | None):
        raise TypeError(f"retry is {shown(value)}: expected a trioq.Retry(…)")


def _is_breaker(_: object, attribute: attrs.Attribute[Any], value: Breaker | None) -> None:
    if not isinstance(value, Breaker | None):
        raise TypeError(f"breaker is {shown(value)}: expected a trioq.Breaker(…), or None")


def _are_limits(_: object, attribute: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    names = set[str]()
    for limit in value:
        if not isinstance(limit, Limit):
            raise TypeError(f"limits has {shown(limit)}: expected trioq.Limit(…), one or a list")
        if limit.name in names:
            raise ValueError(f"limits has two that are called {limit.name!r}")
        names.add(limit.name)


def _fields(given: Any) -> tuple[Any, ...]:
    """One, or many; None, and what that became in a function that is made from another: none."""
    if given is None or given == ():
        return ()
    if not (fields := _several(given)):
        raise ValueError("id_from names no field: expected parameters, such as ['tenant', 'day']")
    return fields


def _are_fields(
    function: Function, attribute: attrs.Attribute[Any], value: tuple[Any, ...]
) -> None:
    for field in value:
        if not isinstance(field, str):
            raise TypeError(f"id_from has {shown(field)}: expected names of parameters")
        function.binding.check_field(field, "id_from")
    if len(set(value)) < len(value):
        raise ValueError("id_from names a parameter twice")


def _is_one_of(*words: str) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    rule = Rule(" or ".join(map(repr, words)), lambda value: value in words)
    return lambda _, attribute, value: rule.check(attribute.name, value)


@attrs.frozen(eq=False)
class Function:
    """A function under a name.

    Raises:
      TypeError: A parameter that no field of a JSON object can fill; or what can't be run.
      ValueError: A name, a timeout or another option that can't be.
    """

    name: str = attrs.field(validator=_is_name)
    function: Callable[..., Any]
    queue: str | None = attrs.field(default=None, validator=_is_queue)
    timeout_s: float | None = attrs.field(default=None, validator=_is_timeout)
    retry: Retry | None = attrs.field(default=None, validator=_is_retry)
    on_lease_loss: LeaseLoss = attrs.field(
        default="continue", validator=_is_one_of("continue", "cancel")
    )
    isolation: Isolation = attrs.field(default="none", validator=_is_one_of("none", "process"))
    runtime: Runtime = attrs.field(default="trio", validator=_is_one_of("trio", "asyncio"))
    result_s: float | None = attrs.field(default=None, converter=seconds_of, validator=_is_kept)
    """For how long what it returns is kept; None: it isn't."""
    raises: tuple[type[Exception], ...] = attrs.field(
        default=(), converter=_several, validator=_are_errors
    )
    """Errors that whoever waits for its jobs gets as themselves."""
    breaker: Breaker | None = attrs.field(default=Breaker(), validator=_is_breaker)
    """What counts for its breaker, and when that opens; None: it has none."""
    limits: tuple[Limit, ...] = attrs.field(default=(), converter=_several, validator=_are_limits)
    """What its jobs take of, over all engines."""
    id_from: tuple[str, ...] = attrs.field(default=None, converter=_fields, validator=_are_fields)
    """The fields of which ids of its jobs are made; none: they have those that they are given."""
    loop: AsyncioLoop | None = attrs.field(default=None, repr=False)
    """Where it runs, if that is asyncio; each engine has one."""
    around: Around = attrs.field(factory=Around, repr=False)
    """What its app has around each run of its handlers."""
    layers: tuple[Middleware, ...] = attrs.field(default=(), repr=False)
    """What there is of that where it runs; the first is the outermost."""
    lifespan: Lifespan | None = attrs.field(default=None, repr=False)
    """That of its app."""
    shared: Shared | None = attrs.field(default=None, repr=False)
    """What that gives to the engine in which it runs."""
    hooks: tuple[FailureHook, ...] = attrs.field(default=(), repr=False)
    """Those of its app that are told of failures, likewise."""
    errors: Errors = attrs.field(init=False, repr=False)
    binding: Binding = attrs.field(init=False)
    is_async: bool = attrs.field(init=False)
    takes_job: bool = attrs.field(init=False, repr=False)
    """Whether the job comes first, where it is called."""
    call: Call = attrs.field(init=False, repr=False)
    """The function, with what is around it: of a ``def`` handler, what is there in its thread."""
    call_outside: Call | None = attrs.field(init=False, repr=False)
    """Of a ``def`` handler, what is around its thread; None: nothing is."""
    tempo: Tempo = attrs.field(factory=Tempo, init=False, repr=False)
    """Of a ``def`` handler, how long its calls took lately."""

    @errors.default
    def _sort(self) -> Errors:
        return Errors(self.raises, self.breaker, bool(self.hooks))

    @binding.default
    def _bind(self) -> Binding:
        check(self.function, self.name)
        return Binding.of(self.function)

    @is_async.default
    def _look(self) -> bool:
        return is_async(self.function)

    @takes_job.default
    def _takes_job(self) -> bool:
        return bool(self._inside) or self.binding.job_parameter is not None

    @call.default
    def _surround(self) -> Call:
        if not (layers := self._inside):
            return self.function
        function = self.function
        if self.binding.job_parameter is None:
            function = without_job(function)
        if self.is_async:
            return awaited(to_its_end(function), layers, self.name)
        return called(function, layers, self.name)

    @call_outside.default
    def _surround_thread(self) -> Call | None:
        layers = [] if self.is_async else [each for each in self.layers if each.is_async]
        return awaited(self._call_inside, layers, self.name) if layers else None

    @property
    def _inside(self) -> list[Middleware]:
        """What is around it where it runs itself."""
        return [layer for layer in self.layers if self.is_async or not layer.is_async]

    def surrounded(self) -> Function:
        """The same, with what its app has around its handlers by now."""
        around = self.around
        if not (around.middleware or around.on_failure):
            return self
        hooks = tuple(around.on_failure)
        return attrs.evolve(self, layers=tuple(around.middleware), hooks=hooks)

    @functools.cached_property
    def returns(self) -> Any:
        """The declared return type, looked at when it is needed: classes may come later."""
        return returned_by(self.function)

    @property
    def needs_asyncio(self) -> bool:
        """Whether it is awaited by a loop of asyncio."""
        return self.is_async and self.runtime == "asyncio"

    @property
    def needs_loop(self) -> bool:
        """Whether that is needed, for itself or for what its app has around it."""
        is_awaited = self.call_outside is not None or any(hook.is_async for hook in self.hooks)
        return self.needs_asyncio or (is_awaited and self.around.runtime == "asyncio")

    @property
    def is_elsewhere(self) -> bool:
        """Whether it runs outside of the engine's loop."""
        return not self.is_async or self.needs_asyncio

    @property
    def begins_at_once(self) -> bool:
        """Whether calling it gives a coroutine of Python's own, which can be started by hand."""
        if self.needs_asyncio:
            return False
        if self.is_async and self.layers:
            return True  # that of the outermost
        # Not what inspect says: a def function may be marked as one, and runs when it is called.
        function = self.function
        return inspect.isfunction(function) and bool(function.__code__.co_flags & CO_COROUTINE)

    @property
    def needs_care(self) -> bool:
        """Whether it can neither be started by hand nor be called in a thread and no more."""
        return self.call_outside is not None or (self.is_async and not self.begins_at_once)

    def run(self, job: Job, threads: trio.CapacityLimiter, grace: Grace) -> Awaitable[Any]:
        """Bind the job's payload, and return what runs the function, in a context of its own.

        Args:
          threads: Bounds how many run at a time outside of the loop, also of those that were left
              behind there.
          grace: What it has left when it is cancelled; nothing can kill a thread.

        Raises:
          BadPayload: The payload doesn't fit; the function wasn't called.
          NothingLeft: Nor was it for want of memory.

        When awaited, it raises whatever the function raises, of a ``def`` handler in a
        :exc:`Raised`; BadHandler, if what it returned can't be run; and of a ``def`` handler
        that is cancelled, NoThread or ThreadLeftBehind; of one in asyncio, what
        :meth:`.AsyncioLoop.run` raises.
        """
        context = copy_context()
        context.run(running_job.set, job)
        if self.is_async:
            arguments = self.bound(job.payload, context)
            first = (job,) if self.takes_job else ()
            if self.needs_asyncio:
                assert self.loop is not None
                call = functools.partial(self._call, first, arguments)
                return self.loop.run(call, context, self.name, threads, grace)
            return Isolated(self._call(first, arguments), context)
        if self.call_outside is not None:
            arguments = self.bound(job.payload, context)
            in_thread = functools.partial(self._call_in_thread, threads=threads, grace=grace)
            call = functools.partial(self.call_outside, job, **arguments)
            if self.around.runtime == "asyncio":
                assert self.loop is not None
                crossing = Crossing(in_thread)
                call = functools.partial(call, crossing)
                return crossing.run(self.loop, call, context, self.name, grace)
            return Isolated(call(in_thread), context)
        called = functools.partial(self.called, lambda: job, job.payload, context)
        return self._call_in_thread(called, context, threads, grace)

    def bound(self, payload: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
        """The arguments; what the payload becomes may have code of its own, run in there."""
        try:
            return context.run(self.binding.bind, payload)
        except MemoryError:
            raise NothingLeft(WANTS[errno.ENOMEM]) from None

    def called(self, job: Callable[[], Job], payload: Mapping[str, Any], context: Context) -> Any:
        """Bind and call a ``def`` function in there; raises what either raises."""
        arguments = self.bound(payload, context)
        if not self.takes_job:
            return context.run(self.call, **arguments)
        return context.run(self.call, job(), **arguments)

    async def _call(self, first: Sequence[Job], arguments: Mapping[str, Any]) -> Any:
        returned = await self.call(*first, **arguments)
        return returned if id(type(returned)) in PLAIN else await finished(returned)

    async def _call_inside(self, job: Job, in_thread: InThread, /, **arguments: Any) -> Any:
        """What its thread is for what is around that: a copy of the context is its own."""
        context = copy_context()
        first = (job,) if self.takes_job else ()
        return await in_thread(
            functools.partial(context.run, self.call, *first, **arguments), context
        )

    async def _call_in_thread(
        self,
        call: Callable[[], Any],
        context: Context,
        threads: trio.CapacityLimiter,
        grace: Grace,
    ) -> Any:
        returned = await run_in_thread(call, self.name, threads, self.tempo, grace)
        if id(type(returned)) in PLAIN:
            return returned
        # A wrapper around an async function, say: what it gave runs where it would have run.
        return await Isolated(finished(returned), context)
