"""Payloads as people write them: one on the command line, or one on each line of a file."""

from __future__ import annotations

import errno
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, NoReturn

import attrs

from trioq.core.formats import payload
from trioq.core.valid import DEEPEST
from trioq.errors import PayloadRejected

#: What comes through a pipe is kept in memory up to this, and on disk beyond.
SPOOL_BYTES = 16 << 20

#: Room for what a line may have besides its payload: spaces, mostly.
SLACK_BYTES = 64 << 10

BOM = b"\xef\xbb\xbf"


def encoded(text: str | bytes, max_bytes: int) -> bytes:
    """A payload as it is stored.

    Raises:
      PayloadRejected: With what is wrong with it.
    """
    try:
        # An argument's bytes that aren't UTF-8 come as halves of surrogate pairs.
        raw = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        value = _decode(raw.decode())
    except UnicodeDecodeError as error:
        raise PayloadRejected(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise PayloadRejected(f"not JSON: {error.msg}, at character {error.pos + 1}") from None
    except RecursionError:
        raise PayloadRejected(f"nested deeper than {DEEPEST} levels") from None
    except ValueError as error:  # a number of more than 4,300 digits is one
        raise PayloadRejected(f"not usable: {error}") from None
    return payload.encode(value, max_bytes)


def _no_json(word: str) -> NoReturn:
    raise ValueError(f"JSON has no {word}")


# Made once: json.loads would make one for each payload.
_decode = json.JSONDecoder(parse_constant=_no_json).decode


@attrs.frozen
class Line:
    """One line that has a payload."""

    number: int
    """From 1; lines without anything count, too."""
    payload: bytes
    """Empty where there is a fault."""
    fault: str
    end: int
    """Where it ends in the file."""


@contextmanager
def open_lines(path: str) -> Iterator[IO[bytes]]:
    """A file of lines that can be read twice; ``-`` is what comes through stdin.

    Raises:
      OSError: It can't be read, or a pipe's content can't be kept.
    """
    if path == "-":
        if sys.stdin is None:
            raise OSError(errno.EBADF, "stdin is closed")
        with _spooled(sys.stdin.buffer) as spool:
            yield spool
        return
    with open(path, "rb") as file:
        if file.seekable():
            yield file
        else:
            with _spooled(file) as spool:
                yield spool


@contextmanager
def _spooled(stream: BinaryIO) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        # read() would want a second Ctrl-D on a terminal.
        while chunk := stream.read1(1 << 20):  # type: ignore[attr-defined]
            spool.write(chunk)
        spool.seek(0)
        yield spool


def read_lines(file: IO[bytes], max_bytes: int, end: int | None = None) -> Iterator[Line]:
    """The payloads of a file from its beginning, one line in memory at a time.

    Args:
      max_bytes: The largest payload.
      end: Where to end; None: at the end of the file.
    """
    longest = 2 * max_bytes + SLACK_BYTES
    file.seek(0)
    number = at = 0
    while (end is None or at < end) and (raw := file.readline(longest)):
        number += 1
        at += len(raw)
        if len(raw) == longest and not raw.endswith(b"\n"):
            while (rest := file.readline(longest)) and not rest.endswith(b"\n"):
                at += len(rest)
            at += len(rest)
            fault = f"longer than {longest} bytes; a payload has at most {max_bytes}"
            yield Line(number, b"", fault, at)
            continue
        if number == 1:
            raw = raw.removeprefix(BOM)
        if text := raw.strip():
            yield _line(number, text, max_bytes, at)


def _line(number: int, text: bytes, max_bytes: int, end: int) -> Line:
    try:
        return Line(number, encoded(text, max_bytes), "", end)
    except PayloadRejected as error:
        return Line(number, b"", str(error), end)
