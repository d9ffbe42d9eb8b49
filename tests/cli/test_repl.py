"""A Ctrl-C, wherever it comes while a statement is handed over, ends that statement alone."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import trio

from trioq.cli.repl import Beside, Names

#: Functions in whose lines it comes.
THERE = {"run", "_soon", "run_sync_soon"}

#: So many of them there are until it is waited for.
LINES = 12


@asynccontextmanager
async def nothing() -> AsyncIterator[Names]:
    yield {}


def interrupted_at(nth: int, do: Callable[[], Any]) -> Any:
    """What is returned or raised where it comes at the nth line."""
    left = nth

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_name not in THERE:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return do()
    except KeyboardInterrupt as error:
        return error
    finally:
        sys.settrace(before)


def test_it_is_not_begun_or_cancelled_and_the_next_one_runs() -> None:
    ran = list[int]()
    with Beside(nothing) as beside:
        for nth in range(1, LINES + 1):
            came = interrupted_at(nth, lambda: beside.run(trio.sleep_forever))
            assert isinstance(came, KeyboardInterrupt)
            assert beside.run(lambda nth=nth: ran.append(nth)) is None
    assert ran == [*range(1, LINES + 1)]
