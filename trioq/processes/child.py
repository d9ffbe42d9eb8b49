"""One process that runs an engine, as its supervisor sees it.

It says ``ready`` by itself, and answers what it is asked: how it is, and for its page of
metrics. It is told to end by signals, as a process without a supervisor is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import trio

from trioq.processes.channel import Channel, Message
from trioq.processes.limits import Limits, Usage
from trioq.processes.plan import Phase, Seen

#: How long it may take to answer. Its loop can be held up by a handler.
ANSWER_S = 2.0

Argv = Callable[[int, int, bool], Sequence[str]]
"""How to start a child: from its number, the descriptor it is to speak on, and whether it leads."""


@attrs.define(eq=False)
class Child:
    """A started process.

    Args:
      number: Its own, from 1; never used again.
      leads: Whether it does what only one has to do.
      limits: When it is to be replaced.
    """

    number: int
    leads: bool
    limits: Limits
    process: trio.Process
    _channel: Channel
    started_at: float = attrs.field(factory=trio.current_time, init=False)
    phase: Phase = attrs.field(default="starting", init=False)
    drains: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when it is told to drain."""
    leaving: str = attrs.field(default="", init=False)
    """Why it is to be replaced; empty: it isn't."""
    page: str = attrs.field(default="", init=False)
    """Its metrics, as it told them last."""
    health: dict[str, Any] = attrs.field(factory=dict[str, Any], init=False)
    """What its ``/readyz`` would say, as it told it last."""
    answers: bool = attrs.field(default=True, init=False)
    """Whether it answered in time when it was last asked."""
    usage: Usage | None = attrs.field(default=None, init=False)
    _asking: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _answered: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set while no question is open."""

    def __attrs_post_init__(self) -> None:
        self._answered.set()

    @classmethod
    async def start(cls, number: int, limits: Limits, argv: Argv, *, leads: bool) -> Child:
        """Start it, in a process group of its own: a Ctrl-C is its supervisor's to handle.

        Raises:
          OSError: It can't be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            try:
                process = await trio.lowlevel.open_process(
                    list(argv(number, fd, leads)),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(fd,),
                    process_group=0,
                )
            except BaseException:
                ours.close()
                raise
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        return cls(number, leads, limits, process, Channel(stream))

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def seen(self) -> Seen:
        """How the plan sees it."""
        return Seen(self.number, self.phase, self.leaving, self.leads)

    async def listen(self, became_ready: Callable[[], None]) -> None:
        """Hear what it says until it is gone."""
        while (message := await self._channel.receive()) is not None:
            if "ready" in message and self.phase == "starting":
                self.phase = "ready"
                became_ready()
            if "health" in message:
                self._heard(message)

    def _heard(self, message: Message) -> None:
        self.page, self.health = message.get("page", self.page), message["health"]
        rss = message["rss"]
        at_start = self.usage.rss_at_start if self.usage else rss
        self.usage = Usage(message["jobs"], rss, at_start)
        self.answers = True
        self._answered.set()

    async def ask(self, *, page: bool = False) -> bool:
        """Have it say how it is, and for its page too. False: it didn't answer in time.

        One question is open at a time, so that what waits to be read never grows.
        """
        with trio.move_on_after(ANSWER_S):
            async with self._asking:
                await self._answered.wait()  # to what it was asked before
                self._answered = trio.Event()
                try:
                    # It doesn't wait: the last question was read before it was answered.
                    with trio.CancelScope(shield=True):
                        await self._channel.send({"ask": "page" if page else "health"})
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    self.answers = False
                    return False
                await self._answered.wait()
                return True
        self.answers = False
        return False

    def drain(self) -> None:
        """Let it finish what it runs; nothing more where it was told before."""
        if self.phase != "draining":
            self.phase = "draining"
            self.drains.set()
            self._send(signal.SIGTERM)

    def hurry(self) -> None:
        """Cut that short."""
        self.drain()
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and what it has started in its process group."""
        # Until it is waited for, its process group's number is nobody else's.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        """To the process alone: the programs that its handlers have started may finish."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def close(self) -> None:
        """It has ended: whoever waits for an answer waits no more."""
        self._answered.set()
        await self._channel.aclose()
