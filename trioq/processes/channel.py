"""What a supervisor and a child say to each other: JSON lines over a pair of sockets.

The pair has no name that anybody could open, and ends with either process, however it ends: so
a child whose supervisor was killed hears it at once.
"""

from __future__ import annotations

import json
from typing import Any

import trio

#: A page of metrics of many handlers is some hundred kilobytes.
LINE_BYTES = 64 << 20

Message = dict[str, Any]


class Channel:
    """One end. One task reads; any task writes, one at a time."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream
        self._turn = trio.Lock()
        self._rest = bytearray()

    async def send(self, message: Message) -> None:
        """Say this.

        Raises:
          trio.BrokenResourceError: The other end is gone.
        """
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        async with self._turn:
            await self._stream.send_all(line)

    async def receive(self) -> Message | None:
        """The next message; None: the other end is gone."""
        while (end := self._rest.find(b"\n")) < 0:
            try:
                more = await self._stream.receive_some(1 << 16)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not more or len(self._rest) > LINE_BYTES:
                return None
            self._rest += more
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        message: Message = json.loads(line)
        return message

    async def aclose(self) -> None:
        await self._stream.aclose()
