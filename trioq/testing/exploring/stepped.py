"""Runs a handler step by step, and stops it between any two.

A coroutine is driven by hand. It is seen where it is suspended, and where it has come to a place
that :mod:`.sites` has put in; there it can be left for good, held for a while, or cancelled. A
``def`` handler is seen in its thread, which can be held too.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import linecache
import sys
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import ContextVar, copy_context
from types import CodeType, FrameType
from typing import Any, Literal, Protocol

import attrs
import trio

from trioq.engine.handlers.shape import is_async, underlying
from trioq.testing.exploring import instrument, marks
from trioq.testing.life import Crashed, Life, here

Kind = Literal["start", "in", "after", "end"]

#: How long a handler waits at a step for the news that it is cancelled, in virtual seconds: where
#: it shields itself, that doesn't come.
NEWS_S = 1.0

_TO_THREAD: CodeType = inspect.unwrap(trio.to_thread.run_sync).__code__


@attrs.frozen
class Frame:
    """A function that is under way, and where."""

    file: str
    line: int
    text: str


@attrs.frozen
class Place:
    """Where a handler is."""

    kind: Kind
    name: str
    """The handler's."""
    frames: tuple[Frame, ...]
    """Its own functions, the outermost first."""


class Watch(Protocol):
    """Is asked at each step of one run. What it does to the engine it does in there."""

    def reached(self, place: Place) -> bool:
        """The run is here; whether its cancellation is on its way. In the run's thread."""

    def ended(self) -> None:
        """It has."""


Begin = Callable[[str], Watch | None]
"""Called where a run of a handler begins, in its thread: who watches that; None: nobody."""

_watch: ContextVar[Watch | None] = ContextVar("trioq_watch", default=None)


class _Here(threading.local):
    driver: Stepped | None = None
    thread: _InThread | None = None


_here = _Here()


@attrs.frozen
class Reached:
    """What a coroutine yields where it may be stopped, and isn't suspended otherwise."""

    site: int


# -- what is put into the user's code ------------------------------------------------------------


class After:
    """Awaited after an ``await``, and gives what came of that."""

    __slots__ = ("site", "value")

    def __init__(self, site: int, value: Any) -> None:
        self.site, self.value = site, value

    def __await__(self) -> Generator[Any, Any, Any]:
        alive()
        if _here.driver is not None and not (self.value is None and self._is_mark):
            yield Reached(self.site)
        return None if self.value is marks.REACHED else self.value

    @property
    def _is_mark(self) -> bool:
        """Whether it would be a mark, if what was called is ours."""
        return instrument.SITES[self.site].text.startswith("at ")


def after(site: int, value: Any) -> After:
    """A coroutine is there."""
    return After(site, value)


def there(site: int) -> None:
    """A plain function is there."""
    if (thread := _here.thread) is not None and sys._getframe(1).f_code is thread.code:
        thread.reached(site)


def alive() -> None:
    """
    Raises:
      Crashed: The process in which this runs is dead.
    """
    if (life := here.get()) is not None and life.is_dead:
        raise Crashed


def _marked(text: str) -> bool:
    """A mark was reached; whether a coroutine has to tell of it."""
    if (thread := _here.thread) is not None:
        frame = sys._getframe(2)
        thread.at(Frame(frame.f_code.co_filename, frame.f_lineno, f"at mark({text})"))
    return _here.driver is not None


marks.watched = _marked

# -- coroutines ----------------------------------------------------------------------------------


class Stepped:
    """``await Stepped(coroutine, …)`` is ``await coroutine``, watched."""

    def __init__(
        self, name: str, coroutine: Coroutine[Any, Any, Any], watch: Watch, life: Life
    ) -> None:
        self.name, self.coroutine, self.watch, self.life = name, coroutine, watch, life

    def __await__(self) -> Generator[Any, Any, Any]:
        resume: Callable[[Any], Any] = self.coroutine.send
        value: Any = None
        while True:
            outer, _here.driver = _here.driver, self
            try:
                wanted = resume(value)
            except StopIteration as stop:
                return stop.value
            finally:
                _here.driver = outer
            try:
                if type(wanted) is Reached:
                    site = instrument.SITES[wanted.site]
                    at = Frame(site.file, site.line, site.text)
                    yield from self.between(self._place("after", at))
                    value = None
                elif _gets_thread(self.coroutine):
                    value = yield wanted
                else:
                    self.watch.reached(self._place("in"))
                    value = yield from self._suspended(wanted)
                resume = self.coroutine.send
            except GeneratorExit:
                self.coroutine.close()
                raise
            except BaseException as error:
                resume, value = self.coroutine.throw, error

    def between(self, place: Place) -> Generator[Any, Any, None]:
        """Where its code isn't suspended."""
        is_cancelled = self.watch.reached(place)
        yield from self.life.held()
        if self.life.is_dead:
            raise Crashed
        if is_cancelled:
            yield from _news().__await__()

    def _suspended(self, wanted: Any) -> Generator[Any, Any, Any]:
        try:
            value = yield wanted
        except BaseException:
            yield from self.life.held(_has_thread(self.coroutine))
            raise
        yield from self.life.held(_has_thread(self.coroutine))
        return value

    def _place(self, kind: Kind, at: Frame | None = None) -> Place:
        frames = tuple(map(_frame, _users(self.coroutine)))
        if at is not None:
            frames = (*frames[:-1], at)
        return Place(kind, self.name, frames)


async def _news() -> None:
    if trio.lowlevel.in_trio_task():
        await trio.sleep(NEWS_S)
    else:
        await asyncio.sleep(NEWS_S)


def _gets_thread(awaitable: Any) -> bool:
    """Whether a thread is about to be had in trio. Stopped there, one would have it for good, and
    time goes on as in reality while anybody has one."""
    while awaitable is not None:
        if getattr(getattr(awaitable, "cr_code", None), "co_name", "") == _GETS_THREAD:
            return True
        awaitable = getattr(awaitable, "cr_await", None)
    return False


_GETS_THREAD = trio.CapacityLimiter.acquire_on_behalf_of.__name__


def _has_thread(coroutine: Any) -> bool:
    """Whether it is suspended in ``trio.to_thread``."""
    return any(frame.f_code is _TO_THREAD for frame in _frames(coroutine))


def _users(coroutine: Any) -> list[FrameType]:
    """The frames of the user's functions that wait for one another."""
    frames = _frames(coroutine)
    return [frame for frame in frames if instrument.is_users(frame.f_code.co_filename)]


def _frames(awaitable: Any) -> Iterator[FrameType]:
    while awaitable is not None:
        frame = (
            getattr(awaitable, "cr_frame", None)
            or getattr(awaitable, "gi_frame", None)
            or getattr(awaitable, "ag_frame", None)
        )
        if frame is not None:
            yield frame
        awaitable = (
            getattr(awaitable, "cr_await", None)
            or getattr(awaitable, "gi_yieldfrom", None)
            or getattr(awaitable, "ag_await", None)
        )


def _frame(frame: FrameType) -> Frame:
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = instrument.awaited_at(file, line) or linecache.getline(file, line).strip()
    return Frame(file, line, f"in {text}")


# -- threads -------------------------------------------------------------------------------------


@attrs.define(eq=False)
class _InThread:
    """A ``def`` handler that runs in this thread."""

    name: str
    code: CodeType | None
    watch: Watch
    life: Life

    def reached(self, site: int) -> None:
        there = instrument.SITES[site]
        self.at(Frame(there.file, there.line, there.text))

    def at(self, frame: Frame, kind: Kind = "after") -> None:
        self.life.held_thread()
        alive()
        self.watch.reached(Place(kind, self.name, (frame,)))
        self.life.held_thread()
        alive()


# -- handlers ------------------------------------------------------------------------------------


def stepped(name: str, function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """What is called in place of a handler's function. It has that one's signature."""
    inner = underlying(function)
    code: CodeType | None = getattr(inner, "__code__", None)
    first = Frame(code.co_filename, code.co_firstlineno, "") if code else Frame("", 0, "")
    start, end = (
        attrs.evolve(first, text="before its first line"),
        attrs.evolve(first, text="after its return, before its job is settled"),
    )

    if is_async(function):

        @functools.wraps(function)
        async def in_steps(*args: Any, **kwargs: Any) -> Any:
            life, watch = here.get(), begin(name)
            if life is None or watch is None:
                return await function(*args, **kwargs)
            try:
                return await _run(life, watch, lambda: function(*args, **kwargs))
            finally:
                watch.ended()

        async def _run(life: Life, watch: Watch, call: Callable[[], Any]) -> Any:
            coroutine = _begin(call)
            driver = Stepped(name, coroutine, watch, life)
            try:
                await _Between(driver, Place("start", name, (start,)))
            except BaseException:
                coroutine.close()
                raise
            _watch.set(watch)
            if not trio.lowlevel.in_trio_task():
                _watch_tasks(asyncio.get_running_loop())
            result = await driver
            await _Between(driver, Place("end", name, (end,)))
            return result

        return in_steps

    @functools.wraps(function)
    def in_thread(*args: Any, **kwargs: Any) -> Any:
        life, watch = here.get(), begin(name)
        if life is None or watch is None:
            return function(*args, **kwargs)
        code = getattr(underlying(function), "__code__", None)
        outer, _here.thread = _here.thread, _InThread(name, code, watch, life)
        try:
            _here.thread.at(start, "start")
            result = function(*args, **kwargs)
            _here.thread.at(end, "end")
            return result
        finally:
            _here.thread = outer
            watch.ended()

    return in_thread


async def _begin(call: Callable[[], Any]) -> Any:
    return await call()


@attrs.frozen(eq=False)
class _Between:
    driver: Stepped
    place: Place

    def __await__(self) -> Generator[Any, Any, None]:
        return self.driver.between(self.place)


class Children(trio.abc.Instrument):
    """Has the tasks that a watched handler starts run step by step, too."""

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        watch, life = task.context.get(_watch), task.context.get(here)
        if watch is not None and life is not None:
            task.coro = _await(Stepped(task.name, task.coro, watch, life))  # type: ignore[assignment]


@attrs.frozen
class _Tasks:
    """The same of a loop of asyncio's: ``create_task``, ``gather``, groups, ``wait_for``."""

    make: Callable[..., asyncio.Task[Any]]

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        context = options.get("context") or copy_context()
        watch, life = context.get(_watch), context.get(here)
        if watch is None or life is None or instrument.is_ours(coroutine):
            return self.make(loop, coroutine, **options)
        name = getattr(coroutine, "__qualname__", "a task")
        steps = _await(Stepped(name, coroutine, watch, life))
        task = self.make(loop, steps, **options)
        task.add_done_callback(lambda _: coroutine.close())  # cancelled before it began
        return task


def _watch_tasks(loop: asyncio.AbstractEventLoop) -> None:
    before: Any = loop.get_task_factory()
    if not isinstance(before, _Tasks):
        loop.set_task_factory(_Tasks(before or _task))


def _task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **options)


async def _await(driver: Stepped) -> Any:
    return await driver
