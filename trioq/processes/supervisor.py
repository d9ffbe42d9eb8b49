"""Keeps as many engines running as are wanted, each in a process of its own.

    signals    SIGTERM drains, SIGHUP replaces, SIGUSR1 and SIGUSR2 add and remove one
    look       asks each child how it is, and sees who is to be replaced
    watch × N  waits for the end of one child
    keep       does what :mod:`trioq.processes.plan` says, until nobody is left

It speaks to no Redis and imports nothing of its user's, so that there is little that could end
it; and if it is killed, its children hear that and drain. Each child is an engine like any other,
so nothing that is promised of engines depends on it.
"""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import attrs
import structlog
import trio

from trioq.processes.child import Child
from trioq.processes.merge import Merger
from trioq.processes.notify import Notifier
from trioq.processes.plan import Drain, Limits, Restarts, Start, next_act

#: How often the children are asked how they are.
LOOK_S = 2.0

#: What a child gets beyond its grace period, to settle and to sign off, before it is killed.
KILL_AFTER_S = 15.0

#: A child that hasn't started by then is spoken of.
SLOW_START_S = 30.0

#: Exit codes, as docs/cli.md has them.
FAILED, WRONG_USE = 1, 2

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

Log = structlog.typing.FilteringBoundLogger


@attrs.define(eq=False)
class Supervisor:
    """Some children and what becomes of them.

    Args:
      argv: How to start a child, from its number and the descriptor it is to speak on.
      wanted: How many there are to be.
      limits: When one is replaced.
      grace_s: What a child's handlers get when it drains.
      replaces: Whether a child that ends by itself is replaced: not where it ends when all is done.
    """

    argv: Callable[[int, int], Sequence[str]]
    wanted: int
    limits: Limits
    grace_s: float
    log: Log
    replaces: bool = True
    notifier: Notifier = attrs.field(factory=Notifier.of_environment)
    children: dict[int, Child] = attrs.field(factory=dict[int, Child], init=False)
    merger: Merger = attrs.field(factory=Merger, init=False)
    """What the ended ones have counted."""
    _restarts: Restarts = attrs.field(factory=Restarts, init=False)
    _started: int = attrs.field(default=0, init=False)
    _not_before: float = attrs.field(default=-math.inf, init=False)
    _code: int | None = attrs.field(default=None, init=False)
    """What to end with; None: it isn't to end."""
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> int:
        """Run until told to stop, or until it is no use.

        ``task_status.started()`` comes when it hears signals.

        Returns:
          The exit code.

        Cancellation: the children are told to drain, and aren't waited for.
        """
        with trio.open_signal_receiver(*SIGNALS) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals)
                nursery.start_soon(self._look)
                nursery.start_soon(self._be_alive)
                task_status.started()
                try:
                    await self._keep(nursery)
                finally:
                    for child in self.children.values():
                        child.drain()
                nursery.cancel_scope.cancel()
        return self._code or 0

    # -- what it is told -------------------------------------------------------------------

    def stop(self, code: int = 0) -> None:
        """Drain all, and end with this code; told again, they are to hurry."""
        self._code = self._code or code
        self.notifier.tell(STOPPING=1, STATUS="draining")
        for child in self.children.values():
            child.drain()
        self._change()

    def replace_all(self, why: str) -> None:
        """Replace each child by another, one after the other."""
        for child in self.children.values():
            child.leaving = child.leaving or why
        self._change()

    def scale(self, wanted: int) -> None:
        """Have this many from now on."""
        self.wanted = max(0, wanted)
        self.log.info("scaled", processes=self.wanted)
        self._change()

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            self.log.info("signal", signal=signal.Signals(number).name)
            match number:
                case signal.SIGHUP if not sys.stdin.isatty():
                    self.replace_all("SIGHUP")
                case signal.SIGUSR1:
                    self.scale(self.wanted + 1)
                case signal.SIGUSR2:
                    self.scale(self.wanted - 1)
                case _:  # and a terminal that is gone
                    self.stop()

    # -- its life --------------------------------------------------------------------------

    async def _keep(self, nursery: trio.Nursery) -> None:
        while self._code is None or self.children:
            self._changed = trio.Event()
            is_time = trio.current_time() >= self._not_before
            act = None
            if self._code is None and is_time:
                act = next_act([child.seen for child in self.children.values()], self.wanted)
            match act:
                case Start():
                    await self._start(nursery)
                case Drain(number, why):
                    self.log.info("child_draining", process=number, why=why)
                    self.children[number].drain()
                case None:
                    with trio.move_on_at(math.inf if is_time else self._not_before):
                        await self._changed.wait()

    async def _start(self, nursery: trio.Nursery) -> None:
        number = self._started + 1
        try:
            child = await Child.start(number, self.limits.jittered(), self.argv)
        except OSError as error:
            self.log.error("child_not_started", process=number, error=str(error))
            self._ended_early(lived_s=0.0)
            return
        self._started = number
        self.children[number] = child
        self.log.info("child_started", process=number, pid=child.pid)
        nursery.start_soon(self._watch, child)
        if self._code is not None:
            child.drain()  # all were told to while it was being started

    async def _watch(self, child: Child) -> None:
        """Until it has ended."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child.listen, lambda: self._is_ready(child))
            nursery.start_soon(self._kill_in_time, child)
            code = await child.process.wait()
            nursery.cancel_scope.cancel()
        await child.close()
        # Between these two nobody is asked to merge: no count is missing or told twice.
        del self.children[child.number]
        self.merger.end(child.page)
        self._tell_end(child, code)
        self._change()

    def _tell_end(self, child: Child, code: int) -> None:
        lived_s = trio.current_time() - child.started_at
        told = {"process": child.number, "exit": code, "lived_s": round(lived_s, 1)}
        if self._code is not None or child.phase == "draining":
            self.log.info("child_ended", **told)
        elif not self.replaces:
            self.log.info("child_ended", **told)
            self.wanted -= 1
            if not self.children:
                self.stop(FAILED if code else 0)
        else:
            self.log.error("child_ended_by_itself", **told)
            if code == WRONG_USE and child.phase == "starting":
                self.stop(WRONG_USE)  # its configuration won't be better the next time
            else:
                self._ended_early(lived_s)

    def _ended_early(self, lived_s: float) -> None:
        now = trio.current_time()
        wait_s = self._restarts.ended(now, lived_s)
        if wait_s is None:
            self.log.error("children_keep_ending")
            self.stop(FAILED)
        else:
            self._not_before = now + wait_s

    def _is_ready(self, child: Child) -> None:
        took_s = round(trio.current_time() - child.started_at, 2)
        self.log.info("child_ready", process=child.number, took_s=took_s)
        self._change()

    async def _kill_in_time(self, child: Child) -> None:
        """It has its grace period and some more."""
        await child.drains.wait()
        await trio.sleep(self.grace_s + KILL_AFTER_S)
        self.log.error("child_killed", process=child.number)
        child.kill()

    def _change(self) -> None:
        self._changed.set()
        phases = [child.phase for child in self.children.values()]
        ready = phases.count("ready")
        if self._code is None:
            self.notifier.tell(STATUS=f"{ready} of {self.wanted} engines ready")
            if ready >= self.wanted:
                self.notifier.tell(READY=1)

    # -- what it sees ----------------------------------------------------------------------

    async def _look(self) -> None:
        """Ask all how they are, again and again."""
        while True:
            await self.ask_all()
            now = trio.current_time()
            for child in list(self.children.values()):
                if child.phase == "ready" and child.usage and not child.leaving:
                    child.leaving = child.limits.passed(child.usage, now - child.started_at)
                    if child.leaving:
                        self._change()
            await trio.sleep(LOOK_S)

    async def ask_all(self) -> None:
        """Have all that are ready say how they are; who doesn't answer is passed over in time."""
        async with trio.open_nursery() as nursery:
            for child in self.children.values():
                if child.phase != "starting":
                    nursery.start_soon(child.ask)

    async def _be_alive(self) -> None:
        """Tell systemd's watchdog so, for as long as this loop turns."""
        while self.notifier.watchdog_s is not None:
            self.notifier.tell(WATCHDOG=1)
            await trio.sleep(self.notifier.watchdog_s)

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether as many are ready as are wanted, and what each says."""
        told = {str(child.number): _health(child) for child in self.children.values()}
        ready = sum(health["ready"] for health in told.values())
        return ready >= self.wanted and self._code is None, {
            "ready": ready >= self.wanted,
            "wanted": self.wanted,
            "processes": told,
        }


def _health(child: Child) -> dict[str, Any]:
    if child.phase != "ready" or not child.health:
        return {"ready": False, "pid": child.pid, "phase": child.phase}
    if child.asked_at > child.answered_at:
        return {**child.health, "ready": False, "pid": child.pid, "phase": "doesn't answer"}
    return {**child.health, "pid": child.pid, "phase": child.phase}
