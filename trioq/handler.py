"""A registered function, and the decorator that makes it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from trioq.core.call import Call
from trioq.core.job import D_co, Job
from trioq.engine.handlers import Function

F = ParamSpec("F")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


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
        """The same arguments, ``args`` and ``kwargs`` without the job, for a run by an engine.

        Raises:
          TypeError: The function can't be called like this.
          PayloadRejected: A value that JSON can't hold (NaN is one).
        """
        payload = self.registered.binding.payload(*args, **kwargs)
        return Call(self.registered.name, payload, self.registered.queue, self.registered)

    def __repr__(self) -> str:
        return f"<trioq handler {self.registered.name!r}: {self.registered.binding.where}>"


class Register(Generic[D_co]):
    """What ``app.job(…)`` returns: the decorator, with its types.

    Args:
      add: Takes what was made.
      name: None: the function's own.
      options: Those of :class:`~trioq.engine.handlers.function.Function`.
    """

    def __init__(
        self, add: Callable[[Function], None], name: str | None, options: Mapping[str, Any]
    ) -> None:
        self._add, self._name, self._options = add, name, options

    @overload
    def __call__(
        self, function: Callable[Concatenate[Job[D_co], P], Coroutine[Any, Any, T]]
    ) -> Handler[Concatenate[Job, P], P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]]
    ) -> Handler[P, P, Coroutine[Any, Any, T], T]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Job[D_co], P], R]
    ) -> Handler[Concatenate[Job, P], P, R, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Handler[P, P, R, R]: ...
    def __call__(self, function: Callable[..., Any]) -> Handler[..., ..., Any, Any]:
        if isinstance(function, Handler):  # a second name for it
            function = function.registered.function
        name = _name_of(function) if self._name is None else self._name
        registered = Function(name, function, **self._options)
        if registered.binding.deps is not None and registered.lifespan is None:
            raise TypeError(
                f"{registered.binding.where}: its job is a Job[…] with deps, and this app has no"
                " lifespan that gives any: trioq.App(lifespan=…)"
            )
        self._add(registered)
        return Handler(registered)


def _name_of(function: object) -> str:
    """A function's own name, where it has one that will last."""
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise TypeError(f'app.job: {kind_of(function)} has no name of its own: app.job("name")(…)')
    return name


def kind_of(value: object) -> str:
    """For messages: what somebody gave where a function was wanted."""
    named = getattr(value, "__name__", None) == "<lambda>"
    return "a lambda" if named else f"a {type(value).__name__}"


def where_of(function: Function) -> str:
    """For messages: the module and the name of the function."""
    return f"{function.function.__module__}.{function.binding.where}"
