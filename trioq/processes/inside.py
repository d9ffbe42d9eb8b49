"""What a supervised process says of itself to its supervisor.

The other end of :mod:`trioq.processes.child`.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import trio

from trioq.processes.channel import Channel

#: What the last words may take.
LAST_S = 1.0


def resident_bytes() -> int:
    """How much memory this process has now; 0 where that can't be told."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@attrs.define(eq=False)
class Inside:
    """This process, for its supervisor.

    Args:
      page: Renders the metrics; called in a thread. None: they aren't served.
      health: What ``/readyz`` says, and whether it is ready.
      jobs: How many jobs it has run.
      orphaned: Called when the supervisor is gone.
    """

    page: Callable[[], str] | None
    health: Callable[[], tuple[bool, dict[str, Any]]]
    jobs: Callable[[], int]
    orphaned: Callable[[], None]
    _channel: Channel

    @classmethod
    def on(cls, fd: int, **what: Any) -> Inside:
        """Speak on this descriptor, which was inherited; nobody inherits it from here."""
        os.set_inheritable(fd, False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=fd)))
        return cls(channel=Channel(stream), **what)

    async def run(self, ready: trio.Event) -> None:
        """Say when it is ready, and answer until cancelled, or until the supervisor is gone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._say_ready, ready)
            while (message := await self._channel.receive()) is not None:
                await self._answer(with_page=message.get("ask") == "page")
            nursery.cancel_scope.cancel()
        self.orphaned()

    async def say_last(self) -> None:
        """What it has counted, once more, before it ends."""
        with trio.move_on_after(LAST_S, shield=True):
            await self._answer(with_page=True)

    async def _say_ready(self, ready: trio.Event) -> None:
        await ready.wait()
        await self._say({"ready": True})

    async def _answer(self, *, with_page: bool) -> None:
        is_ready, told = self.health()
        answer = {
            "health": {**told, "ready": is_ready},
            "rss": resident_bytes(),
            "jobs": self.jobs(),
        }
        if with_page and self.page is not None:
            answer["page"] = await trio.to_thread.run_sync(self.page)
        await self._say(answer)

    async def _say(self, message: dict[str, Any]) -> None:
        # Where the other end is gone, reading ends too, and says so.
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._channel.send(message)
