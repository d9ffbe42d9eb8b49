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
          trio.ClosedResourceError: This end is closed.

        Cancellation: where a part of it was sent, this end is closed.
        """
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        async with self._turn:
            try:
                await self._stream.send_all(line)
            except trio.Cancelled:
                # After half a line nothing could be understood any more.
                await trio.aclose_forcefully(self._stream)
                raise

    async def receive(self) -> Message | None:
        """The next message; None: the other end is gone, or says what nobody can read."""
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
        try:
            message = json.loads(line)
        except ValueError:
            return None
        return message if isinstance(message, dict) else None

    async def aclose(self) -> None:
        """Hang up."""
        await self._stream.aclose()
