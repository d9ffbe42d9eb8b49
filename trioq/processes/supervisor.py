"""Keeps as many engines running as are wanted, each in a process of its own.

    obey       SIGTERM drains, SIGHUP replaces, SIGUSR1 and SIGUSR2 add and remove one
    look       asks each child how it is, and sees who is to be replaced
    watch × N  stands by one child until its end; :mod:`trioq.processes.ends` says what follows
    keep       does what :mod:`trioq.processes.plan` says, until nobody is left

It speaks to no Redis and imports nothing of its user's, so that there is little that could end
it; and if it is killed, its children hear that and drain. Each child is an engine like any other,
so nothing that is promised of engines depends on it.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import structlog
import trio

from trioq.errors import ConfigError
from trioq.processes.child import Argv, Child
from trioq.processes.ends import FAILED, NOTHING, End, Ends, Follows
from trioq.processes.health import Health
from trioq.processes.limits import Limits
from trioq.processes.notify import Notifier
from trioq.processes.plan import Drain, Start, next_act
from trioq.processes.watch import watch

#: As ``serve.processes`` has it.
MOST = 1000

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

Log = structlog.typing.FilteringBoundLogger


def _is_terminal() -> bool:
    """Whether somebody sits there."""
    return sys.stdin is not None and os.isatty(0)


@attrs.frozen
class Terms:
    """What is configured of the processes."""

    processes: int
    """How many there are to be."""
    limits: Limits
    """When one is replaced."""
    grace_s: float
    """What a child's handlers get when it drains."""


@attrs.define(eq=False)
class Supervisor:
    """Some children and what becomes of them.

    Args:
      argv: How to start a child.
      terms: What is configured.
      reread: Reads that again, and raises ConfigError where it is wrong.
      until_done: Whether all end when the one that leads has ended well by itself.
    """

    argv: Argv
    terms: Terms
    reread: Callable[[], Terms]
    log: Log
    until_done: bool = False
    notifier: Notifier = attrs.field(factory=Notifier.of_environment)
    children: dict[int, Child] = attrs.field(factory=dict[int, Child], init=False)
    on_end: Callable[[Child], None] = attrs.field(default=lambda child: None, init=False)
    """Told of each that has ended, when it is one of the children no more."""
    wanted: int = attrs.field(init=False)
    health: Health = attrs.field(init=False)
    _ends: Ends = attrs.field(factory=Ends, init=False)
    _started: int = attrs.field(default=0, init=False)
    _not_before: float = attrs.field(default=-math.inf, init=False)
    """When the next may be started."""
    _code: int | None = attrs.field(default=None, init=False)
    """What to end with; None: it isn't to end."""
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _has_terminal: bool = attrs.field(factory=_is_terminal, init=False)

    def __attrs_post_init__(self) -> None:
        self.wanted = self.terms.processes
        self.health = Health(self.children, self._change, self.log)

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
                nursery.start_soon(self.health.look)
                nursery.start_soon(self.notifier.be_alive)
                task_status.started()
                try:
                    await self._keep(nursery)
                finally:
                    for child in self.children.values():
                        child.drain()
                nursery.cancel_scope.cancel()
        return self._code or 0

    # -- what it is told -------------------------------------------------------------------

    @property
    def is_stopping(self) -> bool:
        """Whether all drain, and nothing is started any more."""
        return self._code is not None

    def stop(self, code: int = 0) -> None:
        """Drain all, and end with this code; told again, they are to hurry."""
        is_second, self._code = self._code is not None, self._code or code
        self.notifier.tell(STOPPING=1, STATUS="draining")
        for child in self.children.values():
            if is_second:
                child.hurry()
            else:
                child.drain()
        self._change()

    def replace_all(self, why: str) -> None:
        """Read the configuration again, and replace each child by another, one after the other.

        With a configuration that is wrong, all stays as it is. The first is started at once: what
        kept others from starting may be what was mended.
        """
        try:
            terms = self.reread()
        except ConfigError as error:
            for fault in error.faults:
                self.log.error("configuration", fault=fault)
            self.log.error("not_replaced", why="the configuration is wrong")
            return
        if terms.processes != self.terms.processes:
            self.wanted = terms.processes
        self.terms = terms
        self.notifier.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        for child in self.children.values():
            child.leaving = child.leaving or why
        self._not_before = -math.inf
        self._change()

    def scale(self, wanted: int) -> None:
        """Have this many from now on; at least one, and no more than may be configured."""
        self.wanted = max(1, min(MOST, wanted))
        self.log.info("scaled", processes=self.wanted)
        self._change()

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            self.log.info("signal", signal=signal.Signals(number).name)
            match number:
                case signal.SIGUSR1 | signal.SIGUSR2 | signal.SIGHUP if self.is_stopping:
                    self.log.info("signal_ignored", why="all drain already")
                case signal.SIGHUP if _is_terminal() or not self._has_terminal:
                    self.replace_all("SIGHUP")
                case signal.SIGUSR1:
                    self.scale(self.wanted + 1)
                case signal.SIGUSR2:
                    self.scale(self.wanted - 1)
                case _:  # also a terminal that is gone
                    self.stop()

    # -- its life --------------------------------------------------------------------------

    async def _keep(self, nursery: trio.Nursery) -> None:
        while self._code is None or self.children:
            self._changed = trio.Event()
            is_early = trio.current_time() < self._not_before
            act = None
            if self._code is None:
                act = next_act([child.seen for child in self.children.values()], self.wanted)
            match act:
                case Start(leads) if not is_early:
                    await self._start(nursery, leads=leads)
                case Drain(number, why):
                    self.log.info("child_draining", process=number, why=why)
                    self.children[number].drain()
                case _:
                    with trio.move_on_at(self._not_before if is_early else math.inf):
                        await self._changed.wait()

    async def _start(self, nursery: trio.Nursery, *, leads: bool) -> None:
        number = self._started + 1
        try:
            limits = self.terms.limits.jittered()
            child = await Child.start(number, limits, self.argv, leads=leads)
        except OSError as error:
            self.log.error("child_not_started", process=number, error=str(error))
            self._go_on(self._ends.early(trio.current_time()))
            return
        self._started = number
        self.children[number] = child
        self.log.info("child_started", process=number, pid=child.pid)
        nursery.start_soon(self._watch, child, self.terms.grace_s)
        if self._code is not None:
            child.drain()  # all were told to while it was being started

    async def _watch(self, child: Child, grace_s: float) -> None:
        """Until it has ended."""
        code = await watch(child, grace_s, self.log, self._change)
        del self.children[child.number]
        self.on_end(child)
        now = trio.current_time()
        saw_all_done = self.until_done and child.leads and code == 0
        end = End(child.phase, code, now - child.started_at, saw_all_done)
        others_ready = any(other.phase == "ready" for other in self.children.values())
        follows = self._ends.what_follows(end, now, others_ready) if self._code is None else NOTHING
        told = {"process": child.number, "exit": code, "lived_s": round(end.lived_s, 1)}
        if follows.by_itself:
            self.log.error("child_ended_by_itself", **told)
        else:
            self.log.info("child_ended", **told)
        if self._code == 0 and code == FAILED:  # its lifespan has, say
            self._code = FAILED
        self._go_on(follows)
        self._change()

    def _go_on(self, follows: Follows) -> None:
        """As it follows from an end."""
        if follows.told:
            self.log.error(follows.told, **follows.why)
        if follows.wait_s:
            self._not_before = trio.current_time() + follows.wait_s
        if follows.stop is not None:
            self.stop(follows.stop)

    def _change(self) -> None:
        self._changed.set()
        if self._code is not None:
            return
        phases = [child.phase for child in self.children.values()]
        ready = phases.count("ready")
        self.notifier.tell(STATUS=f"{ready} of {self.wanted} engines ready")
        if ready >= self.wanted and not any(c.leaving for c in self.children.values()):
            self.notifier.tell(READY=1)

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether as many are ready as are wanted, and what each says."""
        told = self.health.readiness()
        ready = sum(one["ready"] for one in told.values())
        is_ready = ready >= self.wanted and not self.is_stopping
        return is_ready, {"ready": is_ready, "wanted": self.wanted, "processes": told}
