"""What an engine and a runner say to each other: JSON objects, each after its length.

To a runner: what it is to be (once), jobs, and that the one it runs is cancelled. From a runner:
which handlers it has (once), what they say of how far they are, and how each job ended. No pickles:
what a handler's process sends is read as data, whatever the handler has done in there.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, get_args

import attrs
import trio

from trioq.core.convert import CONVERTER
from trioq.core.job import Job
from trioq.core.keep import Kept, Word
from trioq.core.outcome import Failed, Interrupted, Outcome, Snoozed, Starved, Succeeded

Frame = dict[str, Any]

#: What a runner may say at a time, beside a result: an error has ten kilobytes, and a list of names
#: some more.
ANSWER_BYTES = 1 << 20

_LENGTH = struct.Struct("!Q")

_OUTCOMES: dict[str, type[Outcome]] = {
    kind.__name__: kind for kind in (Succeeded, Failed, Snoozed, Interrupted, Starved)
}


#: Of an outcome: an object, which stays where it is.
HERE = "exception"

#: Of a job: what is said on it stays where it is said, and what was said before is a text.
_OURS = ("_board", "_noted")


class Garbled(Exception):
    """What came isn't anything that is ever said."""


def encode(frame: Frame) -> bytes:
    """What is sent."""
    body = json.dumps(frame, separators=(",", ":")).encode("ascii")
    return _LENGTH.pack(len(body)) + body


def receive_first(line: socket.socket) -> Frame:
    """The first frame, before there is a loop.

    Raises:
      OSError, ValueError: The other end is gone.
    """
    (length,) = _LENGTH.unpack(line.recv(_LENGTH.size, socket.MSG_WAITALL).rjust(8, b"\0"))
    frame: Frame = json.loads(line.recv(length, socket.MSG_WAITALL))
    return frame


@attrs.define(eq=False)
class Line:
    """One end of the way between them.

    Args:
      most: How many bytes a frame from the other end may have; None: any number.
    """

    stream: trio.SocketStream
    most: int | None = None
    _rest: bytearray = attrs.field(factory=bytearray, init=False)

    async def send(self, frame: Frame) -> None:
        """Say this.

        Raises:
          trio.BrokenResourceError: The other end is gone.

        Cancellation: half of it may have been said; then nothing more can be.
        """
        await self.stream.send_all(encode(frame))

    async def receive(self) -> Frame | None:
        """The next frame; None: the other end is gone.

        Raises:
          Garbled: Something else came, or more than there may be.
        """
        head = await self._exactly(_LENGTH.size)
        if head is None:
            return None
        (length,) = _LENGTH.unpack(head)
        if self.most is not None and length > self.most:
            raise Garbled
        body = await self._exactly(length)
        if body is None:
            return None
        try:
            frame = json.loads(body)
        except (ValueError, RecursionError):
            raise Garbled from None
        if not isinstance(frame, dict):
            raise Garbled
        return frame

    async def _exactly(self, count: int) -> bytes | None:
        while len(self._rest) < count:
            try:
                more = await self.stream.receive_some(1 << 16)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not more:
                return None
            self._rest += more
        taken = bytes(self._rest[:count])
        del self._rest[:count]
        return taken


def job_in(job: Job) -> Frame:
    """A job, as a runner makes it anew."""
    fields = attrs.asdict(job, recurse=False, filter=lambda field, _: field.name not in _OURS)
    noted = job._noted
    if isinstance(noted, bytes):
        noted = noted.decode("utf-8", "replace")
    return {**fields, "trace": dict(job.trace), "noted": noted}


def frame_of(outcome: Outcome) -> Frame:
    """How a job ended; and what is kept of what its handler returned, else whether it did."""
    if isinstance(outcome, Succeeded):
        kept = outcome.result
        if type(kept) is Kept:
            result: Any = {"word": kept.word, "value": kept.value.decode("utf-8")}
        else:
            result = True if kept is not None else None
        outcome = Succeeded(result)
    fields = attrs.asdict(outcome, filter=lambda field, _: field.name != HERE)
    return {"ended": type(outcome).__name__, **fields}


def outcome_of(frame: Frame) -> Outcome:
    """The inverse.

    Raises:
      Garbled: It isn't an outcome.
    """
    fields = dict(frame)
    fields.pop(HERE, None)
    try:
        outcome: Outcome = CONVERTER.structure(fields, _OUTCOMES[fields.pop("ended")])
        if isinstance(outcome, Succeeded) and isinstance(outcome.result, dict):
            return Succeeded(_kept(**outcome.result))
    except Exception:  # whatever a converter raises
        raise Garbled from None
    return outcome


def _kept(word: Any, value: str) -> Kept:
    if word not in get_args(Word):
        raise ValueError(word)
    return Kept(word, value.encode("utf-8"))
