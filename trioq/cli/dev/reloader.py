"""When the engine of ``trioq dev`` is to be replaced, in a thread beside its loop, which a handler
may block."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import structlog
import trio

from trioq.cli import INTERRUPTED, leaving
from trioq.cli.dev.again import Again
from trioq.cli.dev.debug import Clock, is_debugged
from trioq.cli.dev.trial import try_out
from trioq.cli.dev.watch import Marks, Watch, differing, forget_compiled
from trioq.engine.engine import Engine
from trioq.engine.stalls import where
from trioq.lines import flush

#: How often the files are looked at. When two looks have found the same, whoever writes them is
#: done: some editors put another file in the place of one, and a version control system changes
#: many.
LOOK_S = 0.2

#: How long running jobs have where the code has changed, and then to end where they are cancelled.
GRACE_S = 2.0
CANCEL_GRACE_S = 1.0

#: What an engine needs beside that, until it is said that it doesn't end.
ENDS_S = 1.0

#: A loop that hasn't turned for so long is worth a line.
BLOCKED_S = 2.0

#: A module that takes longer to be imported may never end, and is worth one, too.
SLOW_S = 5.0

#: More names of files than this are only counted.
NAMED = 3

Log = structlog.typing.FilteringBoundLogger


@attrs.define(eq=False)
class Reloader:
    """Watches, tries, and has the engine make room.

    Args:
      again: The process as it began.
      clock: The loop's.
    """

    again: Again
    watch: Watch
    clock: Clock
    log: Log | None = None
    """From when on there is one."""
    wanted: bool = attrs.field(default=False, init=False)
    """Whether the process is to begin again when the engine has ended."""
    _signals: int = attrs.field(default=0, init=False)
    _ended: threading.Event = attrs.field(factory=threading.Event, init=False)
    _runs: bool = attrs.field(default=False, init=False)
    """Whether there is an engine."""
    _failed: Marks | None = attrs.field(default=None, init=False)
    """How all was that couldn't be loaded."""
    _turned: float = attrs.field(factory=time.monotonic, init=False)
    """When the loop did last."""
    _told: bool = attrs.field(default=False, init=False)
    """Whether it is known that it doesn't."""

    # -- beside an engine --------------------------------------------------------------------

    def begin(self, engine: Engine, log: Log) -> None:
        """Called in the loop, before the engine runs: all is imported that is at the start."""
        self.log = log
        self._runs = True
        self._turned = time.monotonic()
        self.watch.learn()
        self._count_interrupts()
        modules = self.watch.modules
        log.info("watching", files=self._named(modules) or "the configuration")
        token = trio.lowlevel.current_trio_token()
        thread = threading.Thread(
            target=self._stand_beside, args=(engine, token), name="trioq:dev", daemon=True
        )
        thread.start()

    def begin_again(self) -> None:
        """The process, with what is there now. Returns never."""
        forget_compiled(self.watch.changed())
        self.again.begin()

    def ended(self) -> None:
        """The engine has."""
        self._ended.set()

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody has ended it."""
        return self._signals > 0

    def signalled(self) -> None:
        """Somebody ends it; no new one is to follow."""
        self.wanted = False
        self._signals += 1

    def _stand_beside(self, engine: Engine, token: trio.lowlevel.TrioToken) -> None:
        loop = threading.main_thread().ident or 0
        if not self._await_good(lambda: self._look_at_loop(token, loop)):
            return
        told = False
        while self.clock.stands and not self._is_over():
            if not told:
                self._tell("info", "reload_waits", why="somebody is at a breakpoint")
                told = True
            time.sleep(LOOK_S)
        if self._is_over():
            return
        self.wanted = True
        self._tell("info", "reloading")
        try:
            token.run_sync_soon(engine.drain)
        except trio.RunFinishedError:
            return
        self._see_it_end(engine)

    def _see_it_end(self, engine: Engine) -> None:
        """A handler that doesn't heed its end, and blocks the loop maybe, can't keep it."""
        until = time.monotonic() + GRACE_S + CANCEL_GRACE_S + ENDS_S
        while not self._ended.wait(LOOK_S):
            if self.clock.stands:  # there was another breakpoint
                until = max(until, time.monotonic() + CANCEL_GRACE_S + ENDS_S)
            if time.monotonic() > max(until, engine.lifespans.closing_until + ENDS_S):
                break
        else:
            return
        if self.wanted and not self.is_interrupted:
            self._tell("warning", "end_forced", by=leaving.holding() or "its loop")
            self.begin_again()

    def _is_over(self) -> bool:
        return self._ended.is_set() or self.is_interrupted

    def _look_at_loop(self, token: trio.lowlevel.TrioToken, thread: int) -> bool:
        """Tell once of a loop that is blocked, as no timeout and no signal acts on it. False: the
        engine ends."""
        blocked_s = time.monotonic() - self._turned
        if self.clock.stands or blocked_s < BLOCKED_S:
            self._told = False
        elif not (self._told or is_debugged() or self._is_over()):
            self._told = True
            self._tell("warning", "loop_blocked", at=where(thread))
        self._ask(token)
        return not self._is_over()

    def _ask(self, token: trio.lowlevel.TrioToken) -> None:
        def turns() -> None:
            self._turned = time.monotonic()

        try:
            token.run_sync_soon(turns, idempotent=True)
        except trio.RunFinishedError:
            self._ended.set()

    def _count_interrupts(self) -> None:
        """The first two reach the loop; a third ends the process where that is blocked."""
        heeded: Any = signal.getsignal(signal.SIGINT)
        count = 0

        def interrupt(number: int, frame: Any) -> None:
            nonlocal count
            count += 1
            if count > 2:
                self._tell("warning", "end_forced", by="a third Ctrl-C")
                leaving.end_now(INTERRUPTED)
            if self._told:  # no event, for nobody would see it
                self._tell("warning", "loop_blocked", ends="at the third Ctrl-C", signal=count)
            heeded(number, frame)

        if callable(heeded):
            signal.signal(signal.SIGINT, interrupt)

    # -- where no engine runs ----------------------------------------------------------------

    def await_mended(self) -> None:
        """What is there can't be loaded: wait until it can."""
        self._runs = False
        self.watch.learn()
        self._failed = self.watch.as_began(self.watch.look(widely=True))
        self._await_good(lambda: True)

    # -- both --------------------------------------------------------------------------------

    def _await_good(self, goes_on: Callable[[], bool]) -> bool:
        """Until there is other code, which can be loaded. False: it is no longer wanted."""
        last: Marks = {}
        while goes_on():
            time.sleep(LOOK_S)
            if self._failed is None:
                self.watch.learn()
            now = self.watch.look(widely=self._failed is not None)
            before: Marks = self.watch.seen if self._failed is None else self._failed
            if not differing(before, now):
                last = now
                continue
            if differing(last, now):  # somebody is about it
                last = now
                continue
            if self._is_good(differing(before, now), goes_on):
                return True
        return False

    def _is_good(self, files: list[str], goes_on: Callable[[], bool]) -> bool:
        self._tell("info", "changed", files=self._named(files))
        before = self.watch.look(widely=True)

        began, told = time.monotonic(), False

        def is_wanted() -> bool:
            nonlocal told
            if not told and time.monotonic() - began > SLOW_S:
                told = True
                self._tell("warning", "still_loading", runs=self._what_runs)
            return goes_on() and not differing(before, self.watch.look(widely=True))

        forget_compiled(files)
        wrong = try_out(self.again.arguments, is_wanted=is_wanted)
        if wrong is None:
            return False  # it is looked at once more
        if wrong:
            self._failed = before
            self._tell("error", "not_loaded", runs=self._what_runs, exception=wrong)
            return False
        if self._runs and self._failed is not None and not self.watch.changed():
            self._tell("info", "as_before")
            self._failed = None
            return False
        return True

    @property
    def _what_runs(self) -> str:
        return "what was loaded before" if self._runs else "nothing"

    def _tell(self, level: str, event: str, **fields: Any) -> None:
        if self.log is not None:
            getattr(self.log, level)(event, **fields)
            flush()

    def _named(self, files: list[str]) -> str:
        """As somebody calls them who is where it was started."""
        here = Path(self.again.directory)
        paths = [Path(file) for file in files]
        names = [str(p.relative_to(here)) if here in p.parents else str(p) for p in paths]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return ", ".join(names[:NAMED]) + more
