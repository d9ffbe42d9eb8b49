"""What is around each run of an app's handlers: its middleware.

A middleware is a generator function that takes the job and yields once; the handler runs in place
of the ``yield``, which gives what it returned, or raises what it raised. Whatever a middleware
raises takes the place of that; only to let nothing out changes nothing, so that no failure is taken
for a job that is done because somebody has forgotten to raise it again.

Around an ``async def`` handler all of them run in its loop, in their order. A ``def`` handler has
its plain ones in its thread, and those that are async around that.

The payload is bound before: of one that doesn't fit, no middleware hears.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from typing import Any

import attrs

from trioq.core.job import Job
from trioq.core.valid import shown
from trioq.engine.handlers.describe import Raised, is_a, name_of, traceback_of, with_traceback
from trioq.engine.handlers.failure_hook import FailureHook
from trioq.engine.handlers.returned import PLAIN, BadHandler, finished, is_finished
from trioq.engine.handlers.shape import is_manager, underlying
from trioq.engine.handlers.threads import NoThread, ThreadLeftBehind

_log = logging.getLogger("trioq.middleware")

RIGHT = "write a generator function that takes the job and yields once, async def or def"
NO_YIELD = "didn't yield, so the handler wasn't called: yield once, whatever happens"
MORE_YIELDS = "yields a second time: yield once"


@attrs.frozen
class Middleware:
    """One.

    Raises:
      TypeError: It's none: with what it is, and what would be right.
    """

    function: Callable[[Job], Any] = attrs.field()
    where: str = attrs.field(init=False)
    """Its name, for messages."""
    is_async: bool = attrs.field(init=False)

    @where.default
    def _name(self) -> str:
        inner = underlying(self.function) if callable(self.function) else self.function
        return getattr(inner, "__qualname__", "") or shown(inner)

    @is_async.default
    def _look(self) -> bool:
        _check(self.function, self.where)
        return inspect.isasyncgenfunction(underlying(self.function))


def _check(function: Any, where: str) -> None:
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"middleware: {where} is no function: {RIGHT}")
    inner = underlying(function)
    if is_manager(inner):
        raise TypeError(f"middleware: {where}: leave @contextmanager out, and it is one")
    if not (inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)):
        raise TypeError(f"middleware: {where} doesn't yield: {RIGHT}")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise TypeError(f"middleware: {where} has to take the job, and no more: {RIGHT}") from None


@attrs.define(eq=False)
class Around:
    """What an app has of it. Its handlers keep theirs, whoever includes them."""

    runtime: str = "trio"
    """The app's."""
    middleware: list[Middleware] = attrs.field(factory=list[Middleware])
    """The first is the outermost."""
    on_failure: list[FailureHook] = attrs.field(factory=list[FailureHook])


Call = Callable[..., Any]
"""Takes the job, and the arguments by name."""


def without_job(function: Callable[..., Any]) -> Call:
    """What is called for one that takes no job."""

    def call(job: Job, /, **arguments: Any) -> Any:
        return function(**arguments)

    return call


def to_its_end(function: Call) -> Call:
    """An ``async def`` handler with all that is to be awaited of it."""

    async def call(job: Job, /, **arguments: Any) -> Any:
        returned = await function(job, **arguments)
        return returned if id(type(returned)) in PLAIN else await finished(returned)

    return call


def awaited(call: Call, layers: Sequence[Middleware], name: str) -> Call:
    """What is called and awaited, with these around it.

    Args:
      name: The handler's.
    """
    for middleware in reversed(layers):
        layer = _Layer(middleware, call, name)
        call = layer.awaited if middleware.is_async else layer.awaited_in
    return call


def called(call: Call, layers: Sequence[Middleware], name: str) -> Call:
    """What is called, with these plain ones around it.

    What it returns may have to be awaited yet; then what comes out is that, with them around it.
    """
    for middleware in reversed(layers):
        call = _Layer(middleware, call, name).called
    return call


@attrs.define(eq=False)
class _Layer:
    """One middleware of one handler, and what it is around."""

    middleware: Middleware
    inner: Call
    name: str
    _has_told: bool = False

    # -- a plain one -----------------------------------------------------------------------

    def called(self, job: Job, /, **arguments: Any) -> Any:
        generator = self._begun(job)
        try:
            returned = self.inner(job, **arguments)
        except BaseException as error:
            self._failed(generator, error)
            raise
        if id(type(returned)) not in PLAIN and not is_finished(returned):
            return self._finished(generator, finished(returned))
        self._returned(generator, returned)
        return returned

    async def awaited_in(self, job: Job, /, *more: Any, **arguments: Any) -> Any:
        generator = self._begun(job)
        return await self._finished(generator, self.inner(job, *more, **arguments))

    async def _finished(self, generator: Generator[Any, Any, Any], rest: Awaitable[Any]) -> Any:
        try:
            result = await rest
        except BaseException as error:
            self._failed(generator, error)
            raise
        self._returned(generator, result)
        return result

    def _begun(self, job: Job) -> Generator[Any, Any, Any]:
        generator: Generator[Any, Any, Any] = self.middleware.function(job)
        try:
            next(generator)
        except StopIteration:
            raise self._bad(NO_YIELD) from None
        return generator

    def _returned(self, generator: Generator[Any, Any, Any], result: Any) -> None:
        try:
            generator.send(result)
        except StopIteration:
            return
        generator.close()
        raise self._bad(MORE_YIELDS)

    def _failed(self, generator: Generator[Any, Any, Any], error: BaseException) -> None:
        """Returns where the error goes on as it is."""
        error = _shown(error)
        traceback = traceback_of(error)
        try:
            generator.throw(error)
        except BaseException as raised:
            if not self._goes_on(error, raised, StopIteration):
                raise
            with_traceback(error, traceback)
        else:
            generator.close()
            raise self._bad(MORE_YIELDS)

    # -- an async one ----------------------------------------------------------------------

    async def awaited(self, job: Job, /, *more: Any, **arguments: Any) -> Any:
        generator: AsyncGenerator[Any, Any] = self.middleware.function(job)
        try:
            await anext(generator)
        except StopAsyncIteration:
            raise self._bad(NO_YIELD) from None
        try:
            result = await self.inner(job, *more, **arguments)
        except BaseException as error:
            await self._failed_there(generator, error)
            raise
        try:
            await generator.asend(result)
        except StopAsyncIteration:
            return result
        await generator.aclose()
        raise self._bad(MORE_YIELDS)

    async def _failed_there(
        self, generator: AsyncGenerator[Any, Any], error: BaseException
    ) -> None:
        """Likewise."""
        error = _shown(error)
        traceback = traceback_of(error)
        try:
            await generator.athrow(error)
        except BaseException as raised:
            if not self._goes_on(error, raised, StopAsyncIteration):
                raise
            with_traceback(error, traceback)
        else:
            await generator.aclose()
            raise self._bad(MORE_YIELDS)

    # -- both ------------------------------------------------------------------------------

    def _goes_on(
        self, error: BaseException, raised: BaseException, over: type[BaseException]
    ) -> bool:
        """Whether the error that it was given goes on, and nothing in its place.

        Args:
          raised: What came out of it.
          over: Of what class that is if nothing did.
        """
        if raised is error:
            return True
        if type(raised) is over:
            self._tell(error)
            return True
        # So Python has these leave a generator that has let them through.
        is_stop = is_a(error, StopIteration, StopAsyncIteration)
        return is_stop and type(raised) is RuntimeError and raised.__cause__ is error

    def _tell(self, swallowed: BaseException) -> None:
        if not self._has_told:
            self._has_told = True
            _log.warning(
                "the middleware %s of %s has swallowed %s; the attempt has failed all the same:"
                " raise it again",
                self.middleware.where, self.name, name_of(swallowed),
            )  # fmt: skip

    def _bad(self, what: str) -> BadHandler:
        return BadHandler(f"its middleware {self.middleware.where} {what}")


def _shown(error: BaseException) -> BaseException:
    """What a middleware sees of what came out of a handler."""
    if type(error) is Raised:
        return error.error
    if type(error) is NoThread or type(error) is ThreadLeftBehind:
        return error.cancelled
    return error
