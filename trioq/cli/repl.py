"""A Python console whose statements run in trio, so that ``await`` works at their top level.

The console has the main thread: lines are edited, and Ctrl-C acts, as in Python's own. trio runs in
a thread beside it for as long as the console lasts, so that what was started goes on while somebody
types. A statement that waits is cancelled by Ctrl-C; one that computes can't be, and a second
Ctrl-C ends the console.
"""

from __future__ import annotations

import ast
import code
import inspect
import linecache
import select
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import CodeType, FunctionType, TracebackType
from typing import Any

import attrs
import trio

Names = dict[str, Any]
Opens = Callable[[], AbstractAsyncContextManager[Names]]
"""Opens in trio what the names of the console stand for."""

AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

#: One that doesn't end within so long after Ctrl-C may never do it.
PATIENCE_S = 1.0

#: How long what the console has opened may take to be closed.
CLOSE_S = 10.0


class Ended(SystemExit):
    """What runs doesn't end, and somebody has had enough."""


@attrs.define(eq=False)
class _Statement:
    """One, seen from both threads."""

    function: Callable[[], Any]
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    over: threading.Event = attrs.field(factory=threading.Event)
    is_there: bool = False
    """Whether trio has it."""
    error: BaseException | None = None

    async def run(self) -> None:
        try:
            with self.scope:
                await trio.lowlevel.checkpoint_if_cancelled()  # before it has begun
                returned = self.function()
                if inspect.iscoroutine(returned):
                    await returned
            if self.scope.cancelled_caught:
                self.error = KeyboardInterrupt()
        except trio.Cancelled:
            raise
        except BaseException as error:
            self.error = error
        finally:
            self.over.set()


@attrs.define(eq=False)
class Beside:
    """trio, in a thread of its own.

    Args:
      opens: Entered there first, and left at the end.
    """

    opens: Opens
    names: Names = attrs.field(factory=dict, init=False)
    _send: trio.MemorySendChannel[_Statement] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[_Statement] = attrs.field(init=False)
    _token: trio.lowlevel.TrioToken | None = attrs.field(default=None, init=False)
    _opened: threading.Event = attrs.field(factory=threading.Event, init=False)
    _error: BaseException | None = attrs.field(default=None, init=False)
    _thread: threading.Thread = attrs.field(init=False)

    def __enter__(self) -> Beside:
        """Wait until all is open.

        Raises:
          BaseException: Why it can't be.
        """
        self._thread = threading.Thread(target=self._live, name="trio", daemon=True)
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, Ended):
            self._soon(self._send.close)
            self._thread.join(CLOSE_S)

    def run(self, function: Callable[[], Any]) -> BaseException | None:
        """Call it there, and await what it gives if that is a coroutine; what was raised.

        Raises:
          Ended: Ctrl-C, twice.
        """
        statement, is_told = _Statement(function), False
        while True:
            try:
                # Inside, and again after a Ctrl-C: it may have come in the middle of this.
                self._soon(partial(self._hand_over, statement))
                if is_told:
                    self._soon(statement.scope.cancel)
                    if not statement.over.wait(PATIENCE_S):
                        print("it goes on: Ctrl-C again ends all of this", file=sys.stderr)
                # In short turns: a signal that comes just before a wait doesn't end it.
                while not statement.over.wait(0.2):
                    pass
                return statement.error
            except KeyboardInterrupt:
                if is_told:
                    raise Ended(130) from None
                is_told = True

    def _hand_over(self, statement: _Statement) -> None:
        """In trio; a second time is none."""
        if not statement.is_there:
            statement.is_there = True
            self._send.send_nowait(statement)

    def _soon(self, function: Callable[[], object]) -> None:
        assert self._token is not None
        self._token.run_sync_soon(function)

    def _live(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:
            self._error = error
        finally:
            self._opened.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._send, self._receive = trio.open_memory_channel[_Statement](1)
        async with self.opens() as self.names:
            self._opened.set()
            async for statement in self._receive:
                await statement.run()


class Console(code.InteractiveConsole):
    """Reads statements, and has them run."""

    def __init__(self, beside: Beside) -> None:
        super().__init__(beside.names)
        self.compile.compiler.flags |= AWAITS
        self._beside = beside

    def runcode(self, made: CodeType) -> None:
        error = self._beside.run(FunctionType(made, self._beside.names))
        if isinstance(error, SystemExit | KeyboardInterrupt):
            raise error
        if error is not None:
            show(error)


def run_script(beside: Beside, source: str, name: str) -> int:
    """Run all of a text, as Python runs a file.

    Returns:
      The exit code: that of ``exit()``, 1 if anything else was raised, 130 after Ctrl-C.
    """
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        made = compile(source, name, "exec", AWAITS, dont_inherit=True)
    except (SyntaxError, ValueError) as wrong:
        traceback.print_exception(wrong, limit=0)
        return 1
    error = beside.run(FunctionType(made, beside.names))
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, BrokenPipeError) and not _has_reader():
        raise error  # the script may have had other pipes
    if error is not None:
        show(error)
    return int(error is not None)


def _has_reader() -> bool:
    """Whether somebody may still read what is printed."""
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return not any(event & select.POLLERR for _, event in poll.poll(0))


def show(error: BaseException) -> None:
    """Print a traceback, from the statement on; a debugger's ``pm()`` finds it."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    error = error.with_traceback(tb)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, tb
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    traceback.print_exception(error)
