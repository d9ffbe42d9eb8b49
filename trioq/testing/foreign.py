"""A world's methods where something else runs: in asyncio, or in trio with another clock."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import trio

P = ParamSpec("P")
T = TypeVar("T")


class Elsewhere(Protocol):
    """A world, as seen from there."""

    @property
    def is_here(self) -> bool:
        """Whether this is a task of trio in the world's time."""

    def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run this in trio, in the world's time."""


W = TypeVar("W", bound=Elsewhere)


def anywhere(
    method: Callable[Concatenate[W, P], Awaitable[T]],
) -> Callable[Concatenate[W, P], Coroutine[Any, Any, T]]:
    """Makes an async method of a world one that may be awaited in any loop: where the world's time
    isn't, it is run by a loop of its own, in a thread."""

    @functools.wraps(method)
    async def awaited(world: W, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(method, world, *args, **kwargs)
        if world.is_here:
            return await call()
        if trio.lowlevel.in_trio_task():
            return await trio.to_thread.run_sync(world.run, call)
        import asyncio

        return await asyncio.to_thread(world.run, call)

    return awaited


def waits_at(task: trio.lowlevel.Task) -> str:
    """The lines at which a task waits, the outermost first."""
    frames = [(frame.f_code.co_filename, line) for frame, line in task.iter_await_frames()]
    told = [
        f'  File "{file}", line {line}\n    {linecache.getline(file, line).strip()}'
        for file, line in frames
    ]
    return "\n".join(["it waits here:", *told])
