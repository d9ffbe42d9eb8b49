"""A walk over all states of something small, breadth-first: what it finds is the shortest."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S")


class Move(NamedTuple, Generic[S]):
    """One thing that happens."""

    state: S
    text: str
    free: bool = True
    """No fault: it may be relied on to happen."""
    broken: str | None = None
    """The promise that it breaks."""


class Found(NamedTuple):
    """A broken promise, and the shortest way to it."""

    promise: str
    path: tuple[str, ...]


@contextmanager
def no_garbage() -> Iterator[None]:
    """Nothing is collected. States are plain values, none of which leads back to itself: a
    collection would look at all that were ever seen, and find nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@no_garbage()
def walk(
    start: S,
    moves: Callable[[S], Iterable[Move[S]]],
    *,
    broken: Callable[[S], str | None],
    is_over: Callable[[S], bool],
    stuck: str,
) -> tuple[int, Found | None]:
    """How many states can be reached, and the first of them in which a promise is broken.

    Args:
      moves: All that can happen next.
      broken: The promise that doesn't hold in a state.
      is_over: Whether it has come to a good end. From every state there must be a way to one on
        which nothing goes wrong.
      stuck: The promise that is broken where there is none.
    """
    came: dict[S, tuple[S, str] | None] = {start: None}
    free_from: dict[S, list[S]] = {start: []}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if promise := broken(state):
            return len(came), Found(promise, _path(came, state))
        for move in moves(state):
            if move.broken:
                return len(came), Found(move.broken, (*_path(came, state), move.text))
            if move.state not in came:
                came[move.state] = state, move.text
                free_from[move.state] = []
                queue.append(move.state)
            if move.free:
                free_from[move.state].append(state)
    home = {state for state in came if is_over(state)}
    queue.extend(home)
    while queue:
        for before in free_from[queue.popleft()]:
            if before not in home:
                home.add(before)
                queue.append(before)
    first = next((state for state in came if state not in home), None)
    return len(came), None if first is None else Found(stuck, _path(came, first))


def _path(came: dict[S, tuple[S, str] | None], state: S) -> tuple[str, ...]:
    path = list[str]()
    while (step := came[state]) is not None:
        state, text = step
        path.append(text)
    return tuple(reversed(path))
