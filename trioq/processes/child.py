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
from trioq.processes.plan import Limits, Phase, Seen, Usage

#: How long it may take to answer. Its loop can be held up by a handler.
ANSWER_S = 2.0


@attrs.define(eq=False)
class Child:
    """A started process.

    Args:
      limits: When it is to be replaced.
    """

    number: int
    limits: Limits
    process: trio.Process
    _channel: Channel
    started_at: float = attrs.field(factory=trio.current_time, init=False)
    phase: Phase = attrs.field(default="starting", init=False)
    drains: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when it is told to drain."""
    leaving: str = attrs.field(default="", init=False)
    page: str = attrs.field(default="", init=False)
    """Its metrics, as it told them last."""
    health: dict[str, Any] = attrs.field(factory=dict[str, Any], init=False)
    """What its ``/readyz`` would say, as it told it last."""
    asked_at: float = attrs.field(default=-float("inf"), init=False)
    answered_at: float = attrs.field(default=-float("inf"), init=False)
    usage: Usage | None = attrs.field(default=None, init=False)
    _answered: trio.Event = attrs.field(factory=trio.Event, init=False)

    @classmethod
    async def start(
        cls, number: int, limits: Limits, argv: Callable[[int, int], Sequence[str]]
    ) -> Child:
        """Start it, in a process group of its own: a Ctrl-C is its supervisor's to handle.

        Args:
          argv: From the number of the child and that of the descriptor it is to speak on.

        Raises:
          OSError: It can't be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            try:
                process = await trio.lowlevel.open_process(
                    list(argv(number, fd)),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(fd,),
                    process_group=0,
                )
            except BaseException:
                ours.close()
                raise
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        return cls(number, limits, process, Channel(stream))

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def seen(self) -> Seen:
        """How the plan sees it."""
        return Seen(self.number, self.phase, self.leaving)

    async def listen(self, changed: Callable[[], None]) -> None:
        """Hear what it says until it is gone."""
        while (message := await self._channel.receive()) is not None:
            if "ready" in message and self.phase == "starting":
                self.phase = "ready"
                changed()
            if "page" in message:
                self._heard(message)

    def _heard(self, message: Message) -> None:
        self.page, self.health = message["page"], message["health"]
        rss = message["rss"]
        at_start = self.usage.rss_at_start if self.usage else rss
        self.usage = Usage(message["jobs"], rss, at_start)
        self.answered_at = trio.current_time()
        self._answered.set()

    async def ask(self) -> bool:
        """Have it say how it is. False: it didn't answer in time."""
        self.asked_at = trio.current_time()
        self._answered = answered = trio.Event()
        with trio.move_on_after(ANSWER_S):
            try:
                await self._channel.send({"ask": "how are you"})
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return False
            await answered.wait()
        return answered.is_set()

    def drain(self) -> None:
        """Let it finish what it runs; said twice, it is to hurry."""
        self.phase = "draining"
        self.drains.set()
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and what it has started in its process group."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        # Until it is waited for, its process group's number is nobody else's.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def close(self) -> None:
        """It has ended."""
        await self._channel.aclose()
