"""Reads answers off a connection, up to a bound.

redis-py's own parser reads whatever comes: a peer that isn't a server, or no longer speaks of
what it was asked, could fill the memory. This one stops at the bytes that an answer may have.
It speaks RESP 2 alone, so there are no messages that nobody asked for.
"""

from __future__ import annotations

import math
import re
import time
from typing import Any

import redis
from redis._parsers.hiredis import NOT_ENOUGH_DATA, _HiredisParser
from redis.exceptions import InvalidResponse
from redis.utils import SENTINEL

from trioq.errors import StoreUnreachable

#: What connecting is answered with is short.
GREETING_BYTES = 1 << 16

#: How a list begins, of the first in the first, that has more items than any answer has bytes for.
#: Room for all that are announced would be made at once, and given back one by one.
_TOO_MANY = re.compile(rb"(?:\*\d{1,7}\r\n)*\*\d{8}")

#: A piece of an answer. Who has an answer with many jobs read in many pieces may have to wait for
#: the interpreter after each; so the room for them grows where they fill it, up to this.
PIECE_MAX = 1 << 19

#: redis-py's own words.
CLOSED = "Connection closed by server."


class TooLong(InvalidResponse):
    """An answer that goes on after all the bytes that it may have."""


def is_too_long(error: StoreUnreachable) -> bool:
    """Whether the answer was broken off because of its length."""
    return isinstance(error.__cause__, TooLong)


class BoundedReader(_HiredisParser):
    """A parser for redis-py's connections."""

    bytes_max: int = GREETING_BYTES
    """Of the next answer. One more is read with it at most, but of what has come with a bell."""
    until: float = math.inf
    """When an answer that hasn't come in full by then is given up, by the monotonic clock."""
    _come: int = 0
    """So many bytes are in the buffer, and nobody has looked at them."""

    def comes_by(self, until: float) -> bool:
        """Wait for the beginning of an answer, when all that came before was read.

        A socket's timeouts are rounded up to milliseconds; this one isn't: in its last one nothing
        is heard.

        Args:
          until: By the monotonic clock.
        """
        if (rounded_s := math.floor((until - time.monotonic()) * 1000) / 1000) > 0:
            try:
                self._come = self._read_some(rounded_s)
                return True
            except redis.TimeoutError:
                pass
        time.sleep(max(0.0, until - time.monotonic()))
        return False

    def read_response(
        self,
        disable_decoding: bool = False,
        push_request: bool = False,
        timeout: Any = SENTINEL,
    ) -> Any:
        """The next answer; an error that isn't about the connection is returned.

        Raises:
          TooLong: It has more than ``bytes_max``.
          InvalidResponse: What came is no answer.
        """
        answer, left = self._parsed(), self.bytes_max
        while answer is NOT_ENOUGH_DATA:
            count = self._read_some(timeout, left + 1)
            if left == self.bytes_max and _TOO_MANY.match(self._buffer, 0, count):
                raise TooLong("an answer of more items than can be")
            self._reader.feed(self._buffer, 0, count)  # type: ignore[arg-type]
            if count == len(self._buffer) < PIECE_MAX:
                self._buffer = bytearray(2 * count)
            left -= count
            answer = self._parsed()
            if left < 0 and answer is NOT_ENOUGH_DATA:
                raise TooLong(f"an answer of more than {self.bytes_max:,} bytes")
        if isinstance(answer, redis.ConnectionError):
            raise answer
        return answer

    def read_buffered(self) -> Any:
        """An answer that has come with another already; None: there is none, or not all of it."""
        answer = self._parsed()
        return None if answer is NOT_ENOUGH_DATA else answer

    def _parsed(self) -> Any:
        if self._reader is None:
            raise redis.ConnectionError(CLOSED)
        try:
            return self._reader.gets()
        except redis.RedisError:
            raise
        except (MemoryError, ValueError) as error:
            # A list of more items than there is memory for; an error that isn't text.
            raise InvalidResponse(f"an answer that can't be read: {type(error).__name__}") from None

    def _read_some(self, timeout: Any, most: int = PIECE_MAX) -> int:
        """Wait for bytes, so many at most. How many are in the buffer."""
        if self._come:
            come, self._come = self._come, 0
            return come
        sock = self._sock
        if self.until < math.inf:
            timeout = self._left_s(self._socket_timeout if timeout is SENTINEL else timeout)
        try:
            if timeout is not SENTINEL:
                sock.settimeout(timeout)
            count: int = sock.recv_into(self._buffer, min(most, len(self._buffer)))
        except TimeoutError:
            raise redis.TimeoutError("Timeout reading from socket") from None
        finally:
            if timeout is not SENTINEL:
                sock.settimeout(self._socket_timeout)
        if count == 0:
            raise redis.ConnectionError(CLOSED)
        return count

    def _left_s(self, timeout_s: float | None) -> float:
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise redis.TimeoutError("Timeout reading from socket")
        return left_s if timeout_s is None else min(timeout_s, left_s)
