"""A walk over all states of something small, breadth-first: what it finds is the shortest."""

from __future__ import annotations

import gc
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
    numbers, states = {start: 0}, [start]
    came: list[tuple[int, str]] = [(0, "")]
    free_from: list[list[int]] = [[]]
    at = 0
    while at < len(states):
        state = states[at]
        if promise := broken(state):
            return len(states), Found(promise, _path(came, at))
        for move in moves(state):
            if move.broken:
                return len(states), Found(move.broken, (*_path(came, at), move.text))
            number = numbers.setdefault(move.state, len(states))
            if number == len(states):
                states.append(move.state)
                came.append((at, move.text))
                free_from.append([])
            if move.free:
                free_from[number].append(at)
        at += 1
    goals = [number for number, state in enumerate(states) if is_over(state)]
    first = first_stuck(goals, free_from)
    return len(states), None if first is None else Found(stuck, _path(came, first))


def first_stuck(goals: list[int], free_from: list[list[int]]) -> int | None:
    """The first state from which no way without a fault leads to a goal.

    Args:
      free_from: For each state, those from which one step without a fault leads to it.
    """
    leads_home = bytearray(len(free_from))
    todo = list(goals)
    for goal in goals:
        leads_home[goal] = 1
    while todo:
        for before in free_from[todo.pop()]:
            if not leads_home[before]:
                leads_home[before] = 1
                todo.append(before)
    stuck = leads_home.find(0)
    return None if stuck < 0 else stuck


def _path(came: list[tuple[int, str]], at: int) -> tuple[str, ...]:
    path = list[str]()
    while at > 0:
        at, text = came[at]
        path.append(text)
    return tuple(reversed(path))
